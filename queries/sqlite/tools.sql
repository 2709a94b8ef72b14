-- Tools: of one server, of that name, of all.

-- name: tool_page_of_server(server_id, uuid, name, from_id, wanted, skip)
-- Tools of a server, oldest first; no row without that server.
select i.doc
  from server s
  left join tool_item i
    on i.id in (
         select c.id
           from tool c
          where c.server_id = s.id
            and c.id >= :from_id
            and (:name is null or c.name = :name)
          order by c.id
          limit :wanted + 1
         offset :skip
       )
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       )
 order by i.id;

-- name: tool_page_of_name(name, from_id, wanted, skip)
-- Tools that have exactly this name, oldest first; `+` keeps it out of the other condition.
select i.doc
  from (
    select c.id
      from tool c
     where substr(c.name, 1, 200) = substr(:name, 1, 200)
       and +c.name = :name
       and c.id >= :from_id
     order by c.id
     limit :wanted + 1
    offset :skip
  ) page
  join tool_item i on i.id = page.id
 order by i.id;

-- name: tool_page(from_id, wanted, skip)
-- Tools of all servers, oldest first.
select i.doc
  from (
    select c.id
      from tool c
     where c.id >= :from_id
     order by c.id
     limit :wanted + 1
    offset :skip
  ) page
  join tool_item i on i.id = page.id
 order by i.id;

-- name: tool_get(id)$
-- One tool.
select doc
  from tool_item
 where id = :id;
