-- The catalog as a list that `mcps load` reads.

-- name: export_versions()
-- Every version with the times of its source, so that a load of it finds nothing newer.
select '{"server":' || document
         || ',"_meta":{"io.modelcontextprotocol.registry/official":{"status":"' || status
         || '","statusChangedAt":"' || status_changed_at
         || iif(
              status_message <> '',
              '","statusMessage":' || json_quote(status_message) || ',"publishedAt":"',
              '","publishedAt":"'
            )
         || published_at
         || '","updatedAt":"' || source_updated_at
         || '","isLatest":' || iif(is_latest, 'true', 'false')
         || '}}}' as item
  from server_version
 order by registry_name, version;

-- name: export_count()^
-- How many versions there are, and how many servers without one.
select (select count(*) from server_version) as versions,
       (
         select count(*)
           from server s
          where not exists (select 1 from server_version v where v.server_id = s.id)
       ) as bare_servers;
