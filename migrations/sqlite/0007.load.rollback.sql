delete from _yoyo_migration where migration_id = '0007.load';
delete from migration_checksum where migration_id = '0007.load';
alter table server_version drop column source_updated_at;
