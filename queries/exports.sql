-- The catalog as a list that `mcps load` reads.

-- name: export_versions()
-- Every version with the times of its source, so that a load of it finds nothing newer.
select '{"server":' || document::text
         || ',"_meta":{"io.modelcontextprotocol.registry/official":{"status":"' || status
         || '","statusChangedAt":"' || utc_text(status_changed_at)
         || case
              when status_message <> ''
                then '","statusMessage":' || json_quote(status_message) || ',"publishedAt":"'
              else '","publishedAt":"'
            end
         || utc_text(published_at)
         || '","updatedAt":"' || utc_text(source_updated_at)
         || '","isLatest":' || is_latest
         || '}}}' as item
  from server_version
 order by registry_name, version;

-- name: export_count()^
-- How many versions there are, and how many servers without one.
select (select count(*) from server_version) as versions,
       (
         select count(*)
           from server s
          where not exists (select from server_version v where v.server_id = s.id)
       ) as bare_servers;
