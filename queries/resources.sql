-- Resource templates of a server.

-- name: resource_page(server_id, uuid, from_id, wanted, skip)
-- Resource templates of a server, oldest first; no row without that server.
select (select i.doc from resource_template_item i where i.id = page.id) as doc
  from server s
  left join lateral (
    select c.id
      from resource_template c
     where c.server_id = s.id
       and c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );
