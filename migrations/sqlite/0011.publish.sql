-- The URLs of the remotes of every version: publishing finds here who has one of them.
create table server_version_remote (
  url text not null,
  version_id integer not null references server_version on delete cascade,
  primary key (url, version_id)
) strict, without rowid;

create index server_version_remote_by_version on server_version_remote (version_id);

create trigger server_version_remote_inserted
  after insert on server_version
begin
  insert or ignore into server_version_remote (url, version_id)
  select value ->> 'url', new.id
    from json_each(new.document, '$.remotes')
   where iif(type = 'object', json_type(value, '$.url') = 'text', false);
end;

create trigger server_version_remote_updated
  after update of document on server_version
  when new.document <> old.document
begin
  delete from server_version_remote where version_id = new.id;
  insert or ignore into server_version_remote (url, version_id)
  select value ->> 'url', new.id
    from json_each(new.document, '$.remotes')
   where iif(type = 'object', json_type(value, '$.url') = 'text', false);
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'dcdc6f81da1bb187042710e934a843df5c34119fd1bcc35fa2e35e42c7c028dd',
  '0011.publish',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
