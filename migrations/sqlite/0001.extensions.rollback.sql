delete from _yoyo_migration where migration_id = '0001.extensions';
delete from migration_checksum where migration_id = '0001.extensions';
