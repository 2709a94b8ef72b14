call migration_delete('0007.load');
drop view search_word_found;
drop table load_version;
drop table load_server;
alter table server_version drop column source_updated_at;
