-- Nearest tools by cosine distance, where the vector extension is there. The stored arrays
-- do not depend on it, so a catalog moves between servers with and without it.

do $do$
begin
  if exists (select from pg_extension where extname = 'vector') then
    create index tool_embedding_nearest on tool_embedding
      using hnsw ((embedding::vector(1536)) vector_cosine_ops);
  end if;
end
$do$;
