delete from _yoyo_migration where migration_id = '0005.ranking';
delete from migration_checksum where migration_id = '0005.ranking';
