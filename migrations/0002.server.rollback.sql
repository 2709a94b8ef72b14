call migration_delete('0002.server');
drop table server;
drop function server_write_doc();
drop function json_quote(text);
drop function utc_text(timestamptz);
