-- When the source says a version was changed. A batch is staged in temporary tables, which
-- each writing connection has for itself.

-- updated_at is the clock of this catalog, for those who mirror it; this is the clock of
-- the source, and only it decides whether an incoming version is newer than the stored one.
alter table server_version
  add column source_updated_at text not null default '1970-01-01T00:00:00.000000Z';

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '155ab201ffe570952dd5c235e890bee4272744e3ba5f016c2effa8a5ed4d7f6f',
  '0007.load',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
