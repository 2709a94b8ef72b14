delete from _yoyo_migration where migration_id = '0008.count';
delete from migration_checksum where migration_id = '0008.count';
drop view server_detail;
