delete from _yoyo_migration where migration_id = '0011.publish';
delete from migration_checksum where migration_id = '0011.publish';
drop trigger server_version_remote_updated;
drop trigger server_version_remote_inserted;
drop table server_version_remote;
