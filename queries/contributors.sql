-- Contributors of a server.

-- name: contributor_page(server_id, uuid, from_id, wanted, skip)
-- Contributors of a server, oldest first; no row without that server.
select (select i.doc from contributor_item i where i.id = page.id) as doc
  from server s
  left join lateral (
    select c.id
      from contributor c
     where c.server_id = s.id
       and c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );
