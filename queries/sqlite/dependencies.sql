-- Dependencies of a server.

-- name: dependency_page(server_id, uuid, from_id, wanted, skip)
-- Dependencies of a server, oldest first; no row without that server.
select i.doc
  from server s
  left join dependency_item i
    on i.id in (
         select c.id
           from dependency c
          where c.server_id = s.id
            and c.id >= :from_id
          order by c.id
          limit :wanted + 1
         offset :skip
       )
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       )
 order by i.id;
