delete from _yoyo_migration where migration_id = '0011.import';
delete from migration_checksum where migration_id = '0011.import';
