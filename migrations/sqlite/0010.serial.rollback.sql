delete from _yoyo_migration where migration_id = '0010.serial';
delete from migration_checksum where migration_id = '0010.serial';
