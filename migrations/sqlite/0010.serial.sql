-- The serial and the change feed belong to the registry API: nothing to keep here either.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'faabd50264c9e5005a0d50b41549443b0cb33b8d3dbaa92234311491154c1303',
  '0010.serial',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
