delete from _yoyo_migration where migration_id = '0009.registry';
delete from migration_checksum where migration_id = '0009.registry';
