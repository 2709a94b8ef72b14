-- All that SQLite needs is built in: JSON functions, FTS5 and its trigrams. Where a build
-- lacks one of them, the migration that uses it stops and names it.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'fc0c62329e36ac3f62f5531609e8d90bc66975356c9522feb15efcb99bae03f9',
  '0001.extensions',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
