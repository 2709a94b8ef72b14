call migration_delete('0009.registry');
drop function registry_hits(
  tsquery, text, boolean, text, text, boolean, timestamptz, text, text, boolean,
  double precision, text, text, bigint
);
drop function registry_rest(
  tsquery, bigint[], boolean, text, text, boolean, timestamptz, text, text, boolean, text,
  text, bigint
);
drop function registry_ranked(tsquery, text, bigint[]);
drop function registry_rank(tsvector, tsvector, tsquery);
drop function registry_fits(
  text, boolean, text, timestamptz, text, boolean, text, text, boolean, timestamptz, text,
  text, boolean
);
drop index server_version_by_filter;
drop index server_version_latest_by_name;
drop trigger server_version_write_item on server_version;
drop function server_version_write_item();
alter table server_version
  drop column labels,
  drop column item;
drop function registry_labels(text, jsonb);
drop function registry_described(json, text);
