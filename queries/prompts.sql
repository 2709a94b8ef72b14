-- Prompts of a server.

-- name: prompt_page(server_id, uuid, from_id, wanted, skip)^
-- Prompts of a server, oldest first; no row without that server.
select '[' || coalesce(
         string_agg((select i.doc from prompt_item i where i.id = page.id), ',')
           filter (where page.place <= :wanted::bigint),
         ''
       ) || ']' as body,
       null::text as next_key,
       max(page.id) filter (where page.place > :wanted::bigint) as next_id
  from server s
  left join lateral (
    select c.id,
           row_number() over (order by c.id) - :skip::bigint as place
      from prompt c
     where c.server_id = s.id
       and c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       )
 group by s.id;
