-- Tools: of one server, of that name, of all.

-- name: tool_page_of_server(server_id, uuid, name, from_id, wanted, skip)
-- Tools of a server, oldest first; no row without that server.
select (select i.doc from tool_item i where i.id = page.id) as doc
  from server s
  left join lateral (
    select c.id
      from tool c
     where c.server_id = s.id
       and c.id >= :from_id::bigint
       and (:name::text is null or c.name = :name::text)
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );

-- name: tool_page_of_name(name, from_id, wanted, skip)
-- Tools that have exactly this name, oldest first.
select (select i.doc from tool_item i where i.id = page.id) as doc
  from (
    select c.id
      from tool c
     where left(c.name, 200) = left(:name::text, 200)
       and c.name = :name::text
       and c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page;

-- name: tool_page(from_id, wanted, skip)
-- Tools of all servers, oldest first.
select (select i.doc from tool_item i where i.id = page.id) as doc
  from (
    select c.id
      from tool c
     where c.id >= :from_id::bigint
     order by c.id
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page;

-- name: tool_get(id)$
-- One tool.
select doc
  from tool_item
 where id = :id::bigint;
