-- The standard registry API is served from PostgreSQL alone; there is nothing to keep here.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'aacd2872cc9513aeb04cf1a4bd39c67be32447c5e88936b0bd886f2a703e7e5b',
  '0009.registry',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
