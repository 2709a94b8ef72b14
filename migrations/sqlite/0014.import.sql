-- Files of the earlier MCPS are taken over into PostgreSQL: nothing to keep here.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '1ed06b6da88150e8caa0594d0e988a75fc1e1339730c3963f020a21ee1a60991',
  '0014.import',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
