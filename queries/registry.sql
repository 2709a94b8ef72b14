-- The standard registry API. A page is its items and the first one behind it, each with
-- the serial they were read at; a page without items is one row without an item. A join
-- to the one row of `serial` keeps their order.

-- name: registry_page(include_deleted, name, version, wanted)
-- Versions of all servers after a name and version.
select page.item,
       page.registry_name,
       page.version,
       serial.value as serial
  from serial
  left join (
    select item,
           registry_name,
           version
      from server_version
     where (registry_name, version) > (:name::text, :version::text)
       and (status <> 'deleted' or :include_deleted::boolean)
     order by registry_name, version
     limit :wanted::bigint + 1
  ) page on true;

-- name: registry_page_latest(include_deleted, name, version, wanted)
-- Latest versions of all servers after a name and version.
select page.item,
       page.registry_name,
       page.version,
       serial.value as serial
  from serial
  left join (
    select item,
           registry_name,
           version
      from server_version
     where (registry_name, version) > (:name::text, :version::text)
       and is_latest
       and (status <> 'deleted' or :include_deleted::boolean)
     order by registry_name, version
     limit :wanted::bigint + 1
  ) page on true;

-- name: registry_page_filtered(is_latest, exact, status, include_deleted, updated_since, registry_type, transport, remote, name, version, wanted)
-- Versions that pass every filter, found in an index that holds all of them.
select v.item,
       v.registry_name,
       v.version,
       serial.value as serial
  from serial
  left join (
    select f.id,
           f.registry_name,
           f.version,
           row_number() over (order by f.registry_name, f.version) as place
      from server_version f
     where (f.registry_name, f.version) > (:name::text, :version::text)
       and registry_fits(
             f.status, f.is_latest, f.version, f.updated_at, f.labels,
             :is_latest::boolean, :exact::text, :status::text, :include_deleted::boolean,
             :updated_since::text::timestamptz, :registry_type::text, :transport::text,
             :remote::boolean
           )
     order by f.registry_name, f.version
     limit :wanted::bigint + 1
  ) page on true
  left join server_version v
    on v.id = page.id
 order by page.registry_name, page.version;

-- name: registry_search(words, pattern, is_latest, exact, status, include_deleted, updated_since, registry_type, transport, remote, rank, name, version, wanted)
-- Versions of the servers that a search finds, best first, then by name.
select v.item,
       v.registry_name,
       v.version,
       hit.rank,
       serial.value as serial
  from serial
  left join registry_hits(
         search_query(:words::text), :pattern::text, :is_latest::boolean, :exact::text,
         :status::text, :include_deleted::boolean, :updated_since::text::timestamptz,
         :registry_type::text, :transport::text, :remote::boolean, :rank::float8,
         :name::text, :version::text, :wanted::bigint + 1
       ) with ordinality hit (id, rank, place)
    on true
  left join server_version v
    on v.id = hit.id
 order by hit.place;

-- name: registry_versions(name, include_deleted)^
-- All versions of one server, the newest first.
select string_agg(item, ',' order by published_at desc, precedence desc, id desc) as items,
       count(*) as number,
       (select value from serial) as serial
  from server_version
 where registry_name = :name::text
   and (status <> 'deleted' or :include_deleted::boolean);

-- name: registry_get(name, version, include_deleted)^
-- One version of a server.
select item,
       (select value from serial) as serial
  from server_version
 where registry_name = :name::text
   and version = :version::text
   and (status <> 'deleted' or :include_deleted::boolean);

-- name: registry_get_latest(name, include_deleted)^
-- The latest version of a server.
select item,
       (select value from serial) as serial
  from server_version
 where registry_name = :name::text
   and is_latest
   and (status <> 'deleted' or :include_deleted::boolean);

-- name: registry_batch(names)^
-- The latest versions of some servers, and the names of which there is none.
select coalesce(string_agg(v.item, ',' order by wanted.place), '') as items,
       coalesce(
         json_agg(wanted.name order by wanted.place) filter (where v.id is null), '[]'
       )::text as missing,
       (select value from serial) as serial
  from jsonb_array_elements_text(:names::text::jsonb) with ordinality wanted (name, place)
  left join server_version v
    on v.registry_name = wanted.name
   and v.is_latest
   and v.status <> 'deleted';

-- name: registry_facets()^
-- How many servers there are of each kind: by the labels and the status of what is latest.
select json_object_agg(label, number order by label)::text as labels,
       (select value from serial) as serial
  from (
    select label,
           count(*) as number
      from server_version v
     cross join lateral (
       select 'status:' || v.status as label
        union
       select string_to_table(btrim(v.labels), ' ')
     ) labelled
     where v.is_latest
       and label <> ''
     group by label
  ) counted;
