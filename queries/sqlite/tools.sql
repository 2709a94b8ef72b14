-- Tools: of one server, of that name, of all.

-- name: tool_page_of_server(server_id, uuid, name, from_id, wanted, skip)^
-- Tools of a server, oldest first; no row without that server.
select '[' || coalesce((
         select group_concat(doc, ',')
           from (
             select i.doc
               from tool_item i
              where i.server_id = s.id
                and i.id >= :from_id
                and (:name is null or i.name = :name)
              order by i.id
              limit :wanted
             offset :skip
           )
       ), '') || ']' as body,
       null as next_key,
       (
         select c.id
           from tool c
          where c.server_id = s.id
            and c.id >= :from_id
            and (:name is null or c.name = :name)
          order by c.id
          limit 1
         offset :skip + :wanted
       ) as next_id
  from server s
 where s.id = coalesce(
         :server_id, (select u.id from server u where u.uuid = :uuid)
       );

-- name: tool_page_of_name(name, from_id, wanted, skip)^
-- Tools that have exactly this name, oldest first.
select '[' || coalesce((
         select group_concat(doc, ',')
           from (
             select i.doc
               from tool_item i
              where substr(i.name, 1, 200) = substr(:name, 1, 200)
                and i.name = :name
                and i.id >= :from_id
              order by i.id
              limit :wanted
             offset :skip
           )
       ), '') || ']' as body,
       null as next_key,
       (
         select c.id
           from tool c
          where substr(c.name, 1, 200) = substr(:name, 1, 200)
            and c.name = :name
            and c.id >= :from_id
          order by c.id
          limit 1
         offset :skip + :wanted
       ) as next_id;

-- name: tool_page(from_id, wanted, skip)^
-- Tools of all servers, oldest first.
select '[' || coalesce((
         select group_concat(doc, ',')
           from (
             select i.doc
               from tool_item i
              where i.id >= :from_id
              order by i.id
              limit :wanted
             offset :skip
           )
       ), '') || ']' as body,
       null as next_key,
       (
         select c.id
           from tool c
          where c.id >= :from_id
          order by c.id
          limit 1
         offset :skip + :wanted
       ) as next_id;

-- name: tool_get(id)$
-- One tool.
select doc
  from tool_item
 where id = :id;
