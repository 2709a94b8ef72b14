-- Files of the earlier MCPS are taken over into PostgreSQL: nothing to keep here.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '3e964082ecf925517c5f669c5deb18a6b4f453872fe9d4381526a6386f959a5f',
  '0011.import',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
