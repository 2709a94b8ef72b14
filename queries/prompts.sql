-- Prompts of a server.

-- name: prompt_page(server_id, uuid, from_id, wanted, skip)
-- Prompts of a server, oldest first; no row without that server.
select (select i.doc from prompt_item i where i.id = page.id) as doc
  from server s
  left join lateral (
    select c.id
      from prompt c
     where c.server_id = s.id
       and c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );
