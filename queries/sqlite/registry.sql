-- The standard registry API. A page is its items and the first one behind it, each with
-- the serial they were read at; a page without items is one row without an item.

-- name: registry_page(include_deleted, name, version, wanted)
-- Versions of all servers after a name and version.
select page.item,
       page.registry_name,
       page.version,
       serial.value as serial
  from serial
  left join (
    select item, registry_name, version
      from server_version
     where (registry_name, version) > (:name, :version)
       and (status <> 'deleted' or :include_deleted)
     order by registry_name, version
     limit :wanted + 1
  ) page on true
 order by page.registry_name, page.version;

-- name: registry_page_latest(include_deleted, name, version, wanted)
-- Latest versions of all servers after a name and version.
select page.item,
       page.registry_name,
       page.version,
       serial.value as serial
  from serial
  left join (
    select item, registry_name, version
      from server_version
     where (registry_name, version) > (:name, :version)
       and is_latest
       and (status <> 'deleted' or :include_deleted)
     order by registry_name, version
     limit :wanted + 1
  ) page on true
 order by page.registry_name, page.version;

-- name: registry_page_filtered(is_latest, exact, status, include_deleted, updated_since, registry_type, transport, remote, name, version, wanted)
-- Versions that pass every filter, found in an index that holds all of them.
select v.item,
       v.registry_name,
       v.version,
       serial.value as serial
  from serial
  left join (
    select id, registry_name, version
      from server_version indexed by server_version_by_filter
     where (registry_name, version) > (:name, :version)
       and (is_latest or not :is_latest)
       and version = coalesce(:exact, version)
       and status = coalesce(:status, status)
       and (status <> 'deleted' or :status is not null or :include_deleted)
       and (:updated_since is null or updated_at > utc_text(:updated_since))
       and instr(labels, coalesce(' type:' || :registry_type || ' ', ' '))
       and instr(labels, coalesce(' transport:' || :transport || ' ', ' '))
       and (:remote is null or (instr(labels, ' remote ') > 0) = :remote)
     order by registry_name, version
     limit :wanted + 1
  ) page on true
  left join server_version v on v.id = page.id
 order by page.registry_name, page.version;

-- name: registry_search(words, pattern, is_latest, exact, status, include_deleted, updated_since, registry_type, transport, remote, rank, name, version, wanted)
-- Versions of the servers that a search finds, best first, then by name.
with asked as materialized (
  select coalesce(group_concat('(' || ways || ')', ' AND '), '""') as query
    from (select group_concat('(' || tokens || ')', ' OR ') as ways
            from (select w.key as place, group_concat('"' || t.value || '"', ' AND ') as tokens
                    from json_each(:words) w, json_each(w.value) y,
                         json_each('["' || replace(y.value, ' ', '","') || '"]') t
                   where lower(t.value) not in (select word from search_stop_word)
                   group by w.key, y.key) group by place)
), found as materialized (
  select rowid as server_id,
         iif(rowid in (select rowid from server_search where server_search
               match (select '{name title} : (' || query || ')' from asked)),
             1 + 1.0 / (2 + length(name || title)), 1.0 / (2 + length(about || tools))) as rank
    from server_search
   where :pattern is null and server_search match (select query from asked)
   union all
  select server_id, 0.0 from server_path
   where path like :pattern escape '\' and ((select query from asked) = '""' or server_id in (
           select rowid from server_search where server_search match (select query from asked)))
), page as (
  select item, rank, registry_name, version
    from found join server_version using (server_id)
   where (is_latest or not :is_latest) and version = coalesce(:exact, version)
     and status = coalesce(:status, iif(status = 'deleted' and not :include_deleted, '', status))
     and updated_at > coalesce(utc_text(:updated_since), '-infinity')
     and instr(labels, coalesce(' type:' || :registry_type || ' ', ' '))
     and instr(labels, coalesce(' transport:' || :transport || ' ', ' '))
     and (instr(labels, ' remote ') > 0) = coalesce(:remote, instr(labels, ' remote ') > 0)
     and (-rank, registry_name, version) > (-:rank, :name, :version)
   order by rank desc, registry_name, version
   limit :wanted + 1)
select page.item, page.registry_name, page.version, page.rank, serial.value as serial
  from serial
  left join page on true
 order by page.rank desc, page.registry_name, page.version;

-- name: registry_versions(name, include_deleted)^
-- All versions of one server, the newest first.
select group_concat(item, ',') as items,
       count(*) as number,
       (select value from serial) as serial
  from (
    select item
      from server_version
     where registry_name = :name
       and (status <> 'deleted' or :include_deleted)
     order by published_at desc, precedence desc, id desc
  );

-- name: registry_get(name, version, include_deleted)^
-- One version of a server.
select item,
       (select value from serial) as serial
  from server_version
 where registry_name = :name
   and version = :version
   and (status <> 'deleted' or :include_deleted);

-- name: registry_get_latest(name, include_deleted)^
-- The latest version of a server.
select item,
       (select value from serial) as serial
  from server_version
 where registry_name = :name
   and is_latest
   and (status <> 'deleted' or :include_deleted);

-- name: registry_batch(names)^
-- The latest versions of some servers, and the names of which there is none.
select coalesce(group_concat(item, ','), '') as items,
       '[' || coalesce(
         group_concat(json_quote(name), ', ') filter (where item is null), ''
       ) || ']' as missing,
       (select value from serial) as serial
  from (
    select wanted.value as name, v.item
      from json_each(:names) wanted
      left join server_version v
        on v.registry_name = wanted.value
       and v.is_latest
       and v.status <> 'deleted'
     order by wanted.key
  );

-- name: registry_facets()^
-- How many servers there are of each kind: by the labels and the status of what is latest.
select '{ ' || group_concat(json_quote(label) || ' : ' || number, ', ') || ' }' as labels,
       (select value from serial) as serial
  from (
    select label, count(*) as number
      from (
        select id, 'status:' || status as label
          from server_version
         where is_latest
         union
        select v.id, part.value
          from server_version v,
               json_each(
                 '[' || replace(json_quote(trim(v.labels)), ' ', '","') || ']'
               ) part
         where v.is_latest
           and part.value <> ''
      )
     group by label
     order by label
  );
