-- Releases of a server.

-- name: release_page(server_id, uuid, key, from_id, wanted, skip)
-- Releases of a server, newest first; no row without that server.
select i.doc
  from server s
  left join release_item i
    on i.id in (
         select c.id
           from release c
          where c.server_id = s.id
            and (c.published_at, c.id) <= (utc_text(:key), :from_id)
          order by c.published_at desc, c.id desc
          limit :wanted + 1
         offset :skip
       )
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       )
 order by i.published_at desc, i.id desc;
