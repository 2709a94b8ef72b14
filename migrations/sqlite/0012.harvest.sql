-- The harvester: who said what of a server, jobs that are leased, and facts about risks.

-- Who said each field of a server and each set of its children: {"title": "api"}.
alter table server
  add column field_sources text not null default '{}' check (json_valid(field_sources));

update server
   set field_sources = json_patch('{}', json_object(
         'name', 'registry',
         'host_type', 'registry',
         'description', iif(description is null, null, 'registry'),
         'title', iif(title is null, null, 'registry'),
         'homepage', iif(homepage is null, null, 'registry'),
         'author_name', iif(author_name is null, null, 'registry'),
         'license', iif(license is null, null, 'registry'),
         'readme_content', iif(readme_content is null, null, 'registry')
       ))
 where latest_version is not null;

-- Who stored a version: `load`, a job such as `registry:https://…`, or else the API.
alter table server_version
  add column origin text not null default 'api';

update server_version
   set origin = 'load';

create index server_version_by_origin on server_version (origin, registry_name, version)
  where origin not in ('load', 'api');

-- A job is a row of the log: one target of one source. Its lease ends by itself.
alter table processing_log
  add column source text;
alter table processing_log
  add column target text;
alter table processing_log
  add column registry_name text;
alter table processing_log
  add column next_try_at text not null default '1970-01-01T00:00:00.000000Z';
alter table processing_log
  add column leased_by text;
alter table processing_log
  add column leased_until text;

create index processing_log_by_next_try_at on processing_log (next_try_at, id)
  where source is not null;

-- What a server does or brings along, with the place that shows it; a set for each source.
create table risk (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  source text not null,
  kind text not null check (
    kind in ('shell', 'file_system', 'network', 'eval', 'install_script', 'dependencies')
  ),
  file text not null default '',
  line integer not null default 0,
  detail text not null default '',
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index risk_by_server on risk (server_id, id);

create trigger risk_changed_inserted
  after insert on risk
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger risk_changed_updated
  after update on risk
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger risk_changed_deleted
  after delete on risk
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '0882f63c85c4d5bd64d95146b5b336ce33ede856f9c00b6c3ed9b9df17f78657',
  '0012.harvest',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
