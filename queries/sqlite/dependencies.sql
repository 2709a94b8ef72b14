-- Dependencies of a server.

-- name: dependency_page(server_id, uuid, from_id, wanted, skip)^
-- Dependencies of a server, oldest first; no row without that server.
select '[' || coalesce((
         select group_concat(doc, ',')
           from (
             select i.doc
               from dependency_item i
              where i.server_id = s.id
                and i.id >= :from_id
              order by i.id
              limit :wanted
             offset :skip
           )
       ), '') || ']' as body,
       null as next_key,
       (
         select c.id
           from dependency c
          where c.server_id = s.id
            and c.id >= :from_id
          order by c.id
          limit 1
         offset :skip + :wanted
       ) as next_id
  from server s
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       );
