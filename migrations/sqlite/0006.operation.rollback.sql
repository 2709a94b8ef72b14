delete from _yoyo_migration where migration_id = '0006.operation';
delete from migration_checksum where migration_id = '0006.operation';
drop table processing_log;
drop table source;
drop table api_key;
