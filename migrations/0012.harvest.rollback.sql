call migration_delete('0012.harvest');
drop table risk;
drop index processing_log_by_next_try_at;
alter table processing_log
  drop column source,
  drop column target,
  drop column registry_name,
  drop column next_try_at,
  drop column leased_by,
  drop column leased_until;
drop index server_version_by_origin;
alter table server_version drop column origin;
alter table server drop column field_sources;
drop function json_pairs;
