-- Nearest tools by cosine distance, where the vector extension is there. The stored arrays
-- do not depend on it, so a catalog moves between servers with and without it.

-- Makes use of what the server offers and the role may have; `mcps migrate` calls it every
-- time, because an extension may appear later.
create procedure optional_extensions()
  language plpgsql
as $$
begin
  begin
    create extension if not exists vector;
    if to_regclass('tool_embedding_nearest') is null
       and exists (select from pg_am where amname = 'hnsw') then
      create index tool_embedding_nearest on tool_embedding
        using hnsw ((embedding::vector(1536)) vector_cosine_ops);
    end if;
  exception
    when insufficient_privilege or feature_not_supported or undefined_file then
      raise notice 'vector is not available: vector search answers 501';
  end;

  begin
    if current_setting('shared_preload_libraries') like '%pg_stat_statements%' then
      create extension if not exists pg_stat_statements;
    end if;
  exception
    when insufficient_privilege or feature_not_supported or undefined_file then
      raise notice 'pg_stat_statements is not available: no list of slow statements';
  end;
end
$$;

call optional_extensions();

call migration_put('0005.vector');
