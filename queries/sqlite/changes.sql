-- The change feed: what was put or is gone, in the order of the serial.

-- name: change_page(serial, place, wanted)^
-- Changes after a place in the feed, as they are now; what is gone has no item.
select coalesce(group_concat(
         '{"serial":' || serial
           || ',"kind":"' || kind
           || '","name":' || json_quote(coalesce(registry_name, shown_name))
           || iif(
                kind = 'server',
                ',"id":' || server_id
                  || ',"deleted":' || iif(found_id is null, 'true', 'false'),
                ',"version":' || json_quote(version)
                  || ',"deleted":' || iif(item is null, 'true', 'false')
                  || coalesce(',"item":' || item, '')
              )
           || '}',
         ','
       ), '') as changes,
       count(*) as number,
       max(serial) as last_serial,
       max(id) as last_place,
       (select value from serial) as serial
  from (
    select g.serial, c.id, c.kind, c.server_id, c.registry_name, c.version,
           s.id as found_id, s.registry_name as shown_name, v.item
      from change_set g
     cross join change c on c.set_id = g.id
      left join server s on s.id = c.server_id
      left join server_version v
        on v.registry_name = c.registry_name
       and v.version = c.version
     where g.serial >= :serial
       and (g.serial, c.id) > (:serial, :place)
     order by g.serial, c.id
     limit :wanted
  );
