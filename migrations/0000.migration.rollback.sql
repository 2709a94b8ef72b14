call migration_delete('0000.migration');
drop procedure migration_delete(text);
drop procedure migration_put(text);
drop trigger migration_keep_first on _yoyo_migration;
drop function migration_keep_first();
drop table migration_checksum;
