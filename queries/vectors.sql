-- Embeddings of tools, and the tools nearest to one.

-- name: vector_put(tool_id, model_name, embedding)!
-- Stores the embedding of a tool, a JSON array, in place of the one it had.
insert into tool_embedding (tool_id, model_name, embedding)
values (
  :tool_id::bigint,
  :model_name::text,
  translate(:embedding::text, '[]', '{}')::real[]
)
    on conflict (tool_id) do update
   set model_name = excluded.model_name,
       embedding = excluded.embedding;

-- name: vector_nearest(probe, wanted)$
-- The tools nearest to a vector as JSON.
select '[' || coalesce(
         string_agg(
           '{"tool":' || t.doc || ',"similarity":' || near.similarity || '}', ','
           order by near.place
         ),
         ''
       ) || ']' as body
  from tool_nearest(
         :probe::text::vector(1536)::real[], null, null, :wanted::bigint
       ) with ordinality near (id, similarity, place)
  join tool_item t on t.id = near.id;

-- name: vector_similar(id, wanted)^
-- The tools nearest to one tool as JSON; null without an embedding, no row without the tool.
select case when p.id is not null then near.body end as body
  from tool t
  left join tool_embedding p on p.tool_id = t.id
  left join lateral (
    select '[' || coalesce(
             string_agg(
               '{"tool":' || i.doc || ',"similarity":' || found.similarity || '}', ','
               order by found.place
             ),
             ''
           ) || ']' as body
      from tool_nearest(
             p.embedding::vector(1536)::real[], p.model_name, t.id, :wanted::bigint
           ) with ordinality found (id, similarity, place)
      join tool_item i on i.id = found.id
  ) near on true
 where t.id = :id::bigint;
