-- Releases of a server.

-- name: release_page(server_id, uuid, key, from_id, wanted, skip)^
-- Releases of a server, newest first; no row without that server.
with next as (
  select c.id, c.published_at
    from release c
   where c.server_id = coalesce(
           :server_id, (select u.id from server u where u.uuid = :uuid)
         )
     and (c.published_at, c.id) <= (utc_text(:key), :from_id)
   order by c.published_at desc, c.id desc
   limit 1
  offset :skip + :wanted
)
select '[' || coalesce((
         select group_concat(doc, ',')
           from (
             select i.doc
               from release_item i
              where i.server_id = s.id
                and (i.published_at, i.id) <= (utc_text(:key), :from_id)
              order by i.published_at desc, i.id desc
              limit :wanted
             offset :skip
           )
       ), '') || ']' as body,
       (select published_at from next) as next_key,
       (select id from next) as next_id
  from server s
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       );
