-- What the catalog knows of its own migrations. Each of them ends by entering itself here,
-- in its own transaction, so that a kill leaves no schema that says it is not there.

create table migration_checksum (
  migration_id text primary key,
  sha256 text not null check (length(sha256) = 64 and sha256 not glob '*[^0-9a-f]*'),
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create trigger migration_keep_first
  before insert on _yoyo_migration
  when exists (
    select 1 from _yoyo_migration where migration_hash = new.migration_hash
  )
begin
  select raise(ignore);
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '5fe426a53a55a4dfc3e50d9a6596638eedb12c6d8a560b6c3728989800f93a3e',
  '0000.migration',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
