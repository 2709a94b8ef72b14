delete from _yoyo_migration where migration_id = '0002.server';
delete from migration_checksum where migration_id = '0002.server';
drop view server_fields;
drop table server_label;
drop table server;
