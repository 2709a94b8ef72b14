-- Embeddings of tools. They are kept for the day they move to PostgreSQL.

-- name: vector_put(tool_id, model_name, embedding)!
-- Stores the embedding of a tool, a JSON array, in place of the one it had.
insert into tool_embedding (tool_id, model_name, embedding)
values (:tool_id, :model_name, float_blob(:embedding))
    on conflict (tool_id) do update
   set model_name = excluded.model_name,
       embedding = excluded.embedding;
