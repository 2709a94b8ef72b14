-- Publishing finds the servers at a URL by reading all versions: an SQLite catalog is small.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'dcdc6f81da1bb187042710e934a843df5c34119fd1bcc35fa2e35e42c7c028dd',
  '0011.publish',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
