-- Files of the earlier MCPS are taken over into PostgreSQL: nothing to keep here.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '874997c4af62923e58a375e68998e0367fb9d8f95a5b53dd864005646f565b13',
  '0012.import',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
