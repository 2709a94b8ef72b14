call migration_delete('0006.operation');
drop function slow_statements(bigint);
drop table processing_log;
drop table source;
drop table api_key;
