-- Ranking is a matter of the queries: FTS5 knows how well a text fits.

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'befe6598cffac326d0b05fbe9522b3c904bf4859fc7ba53132a8a642444d9286',
  '0005.ranking',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
