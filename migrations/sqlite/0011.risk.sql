-- What shows the risk of a server: things that its code does or brings along, and where.

create table risk_fact (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  source text not null,
  kind text not null check (
    kind in (
      'shell', 'file_system', 'network', 'eval', 'install_script', 'dependencies'
    )
  ),
  file text not null,
  line integer not null check (line >= 0),
  detail text not null
) strict;

create index risk_fact_by_server on risk_fact (server_id, source);

create trigger risk_fact_changed_inserted
  after insert on risk_fact
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger risk_fact_changed_updated
  after update on risk_fact
  when (
         old.id, old.server_id, old.source, old.kind, old.file, old.line, old.detail
       )
    is not (
         new.id, new.server_id, new.source, new.kind, new.file, new.line, new.detail
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger risk_fact_changed_deleted
  after delete on risk_fact
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'f4dc41551db865f5e6d1b8a69291b0a8d97ce85529e70f19f9fe000d6c96889d',
  '0011.risk',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
