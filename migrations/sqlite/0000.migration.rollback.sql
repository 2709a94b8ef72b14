delete from _yoyo_migration where migration_id = '0000.migration';
delete from migration_checksum where migration_id = '0000.migration';
drop trigger migration_keep_first;
drop table migration_checksum;
