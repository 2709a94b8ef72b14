-- The change feed: what was put or is gone, in the order of the serial.

-- name: change_page(serial, place, wanted)^
-- Changes after a place in the feed, as they are now; what is gone has no item.
select coalesce(string_agg(
         '{"serial":' || page.serial
           || ',"kind":"' || page.kind
           || '","name":' || json_quote(coalesce(page.registry_name, s.registry_name))
           || case
                when page.kind = 'server' then ',"id":' || page.server_id
                  || ',"deleted":' || (s.id is null)
                else ',"version":' || json_quote(page.version)
                  || ',"deleted":' || (v.id is null)
                  || coalesce(',"item":' || v.item, '')
              end
           || '}',
         ',' order by page.serial, page.id
       ), '') as changes,
       count(page.id) as number,
       max(page.serial) as last_serial,
       (array_agg(page.id order by page.serial desc, page.id desc))[1] as last_place,
       (select value from serial) as serial
  from (
    select g.serial, c.id, c.kind, c.server_id, c.registry_name, c.version
      from change_set g
      join change c
        on c.set_id = g.id
     where g.serial >= :serial::bigint
       and (g.serial > :serial::bigint or c.id > :place::bigint)
     order by g.serial, c.id
     limit :wanted::bigint
  ) page
  left join server s
    on page.kind = 'server'
   and s.id = page.server_id
  left join server_version v
    on page.kind = 'version'
   and v.registry_name = page.registry_name
   and v.version = page.version;
