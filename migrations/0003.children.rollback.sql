call migration_delete('0003.children');
drop table contributor cascade;
drop table release cascade;
drop table dependency cascade;
drop table prompt cascade;
drop table resource_template cascade;
drop table tool_embedding;
drop table tool cascade;
drop table server_version cascade;
