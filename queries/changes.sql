-- The change feed: what was put or is gone, in the order of the serial.

-- name: change_page(serial, place, wanted)^
-- Changes after a place in the feed, as they are now; what is gone has no item.
select coalesce(string_agg(
         '{"serial":' || serial
           || ',"kind":"' || kind
           || '","name":' || json_quote(coalesce(registry_name, shown_name))
           || case
                when kind = 'server' then
                  ',"id":' || server_id || ',"deleted":' || (found_id is null)
                else
                  ',"version":' || json_quote(version) || ',"deleted":' || (item is null)
                    || coalesce(',"item":' || item, '')
              end
           || '}',
         ',' order by serial, id
       ), '') as changes,
       count(*) as number,
       max(serial) as last_serial,
       (array_agg(id order by serial desc, id desc))[1] as last_place,
       (select value from serial) as serial
  from (
    select g.serial, c.id, c.kind, c.server_id, c.registry_name, c.version,
           (select s.id from server s where s.id = c.server_id) as found_id,
           (select s.registry_name from server s where s.id = c.server_id) as shown_name,
           (select v.item
              from server_version v
             where v.registry_name = c.registry_name
               and v.version = c.version) as item
      from change_set g
     cross join lateral (
       select n.id, n.kind, n.server_id, n.registry_name, n.version
         from change n
        where n.set_id = g.id
          and n.id > case when g.serial = :serial::bigint then :place::bigint else 0 end
        order by n.id
        limit :wanted::bigint
     ) c
     where g.serial >= :serial::bigint
     order by g.serial, c.id
     limit :wanted::bigint
  ) page;
