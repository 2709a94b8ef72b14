delete from _yoyo_migration where migration_id = '0014.import';
delete from migration_checksum where migration_id = '0014.import';
