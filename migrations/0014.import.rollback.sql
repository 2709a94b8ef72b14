call migration_delete('0014.import');
drop function import_digest(bigint, jsonb, bigint, bigint, int8multirange);
drop function import_follow(text, bigint);
drop procedure import_search_rest();
drop procedure import_build_nearest();
drop function import_lift_nearest(bigint);
drop function import_put(bigint, jsonb, bigint, bigint, bigint[]);
drop procedure import_advance(bigint, text, bigint, bigint, bigint);
drop function import_is_new(bigint, jsonb, bigint);
drop procedure import_put_range(bigint, jsonb, text[], bigint, bigint);
drop procedure import_match_rows(text, text, bigint, bigint);
drop procedure import_put_versions(bigint, bigint);
drop function import_statements(jsonb, boolean);
drop procedure import_legacy(text, text, jsonb);
drop procedure import_stage(text, jsonb);
drop table import_moved;
drop table import_note;
drop table import_progress;
drop table import_run;

alter table tool_embedding
  alter column embedding set storage extended;

alter table server
  alter column readme_content set compression default;

create or replace function server_search_inserted() returns trigger
  language plpgsql
as $$
declare
  ids constant bigint[] := array(select id from new_rows);
begin
  perform server_search_put(ids);
  perform server_path_put(ids);
  return null;
end
$$;

alter trigger tool_tally_deleted on tool rename to tool_count_deleted;
alter trigger tool_tally_inserted on tool rename to tool_count_inserted;
