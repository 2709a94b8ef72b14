call migration_delete('0002.server');
drop function server_fits(
  server, text, text, boolean, text, text, bigint, timestamptz
);
drop table server;
drop function server_write_doc();
drop function json_quote(text);
drop function utc_text(timestamptz);
