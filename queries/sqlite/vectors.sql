-- Embeddings of tools, and the tools nearest to one, by the extension sqlite-vec. Every
-- embedding is looked at: enough for the size of a catalog that fits in one file.

-- name: vector_put(tool_id, model_name, embedding)!
-- Stores the embedding of a tool, a JSON array, in place of the one it had.
insert into tool_embedding (tool_id, model_name, embedding)
values (:tool_id, :model_name, float_blob(:embedding))
    on conflict (tool_id) do update
   set model_name = excluded.model_name,
       embedding = excluded.embedding;

-- name: vector_nearest(probe, wanted)$
-- The tools nearest to a vector as JSON.
select '[' || coalesce(
         group_concat('{"tool":' || doc || ',"similarity":' || (1 - distance) || '}', ','), ''
       ) || ']' as body
  from (
    select t.doc, near.distance
      from (
        select e.tool_id, vec_distance_cosine(e.embedding, p.vector) as distance
          from (select float_blob(:probe) as vector) p
         cross join tool_embedding e
      ) near
      join tool_item t on t.id = near.tool_id
     where near.distance is not null
     order by near.distance, near.tool_id
     limit :wanted
  );

-- name: vector_similar(id, wanted)^
-- The tools nearest to one tool as JSON; null without an embedding, no row without the tool.
select iif(p.id is null, null, '[' || coalesce((
         select group_concat(
                  '{"tool":' || doc || ',"similarity":' || (1 - distance) || '}', ','
                )
           from (
             select i.doc, near.distance
               from (
                 select e.tool_id, vec_distance_cosine(e.embedding, p.embedding) as distance
                   from tool_embedding e
                  where e.model_name = p.model_name
                    and e.tool_id <> t.id
               ) near
               join tool_item i on i.id = near.tool_id
              where near.distance is not null
              order by near.distance, near.tool_id
              limit :wanted
           )
       ), '') || ']') as body
  from tool t
  left join tool_embedding p on p.tool_id = t.id
 where t.id = :id;
