-- Finding and ranking, by words and by embeddings. A session keeps the plan it made first,
-- maybe of empty tables, so these functions are held to the indexes.

-- Every word must match, in one of the ways it may be cut: `[["GitHub", "Git Hub"], ["api"]]`.
create function search_query(words text) returns tsquery
  language sql stable parallel safe
begin atomic
  select string_agg(format('(%s)', ways), ' & ')::tsquery
    from (
      select string_agg(nullif(plainto_tsquery('english', way)::text, ''), ' | ') as ways
        from jsonb_array_elements(words::jsonb) with ordinality word (ways, place),
             jsonb_array_elements_text(word.ways) way
       group by word.place
    ) word
   where ways is not null;
end;

-- The servers whose registry name or URL matches a pattern; the most popular 500 of those
-- where it matches more.
create function server_in_path(pattern text) returns bigint[]
  language plpgsql stable
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  few constant bigint := 500;
  ids bigint[] := array(
    select p.server_id from server_path p where p.path like pattern limit few + 1
  );
begin
  if cardinality(ids) <= few then
    return ids;
  end if;
  return array(
    select p.server_id
      from server s
      join server_path p on p.server_id = s.id
     where (p.path like pattern) is true
     order by s.stars desc, s.id desc
     limit few
  );
end
$$;

-- How well a text fits a query. One whose head holds every word goes before all others. A
-- long text counts less, but by the logarithm of its length only: divided by the length, a
-- name that the title repeats fell behind the names that only mention a word. 32 keeps every
-- rank below 1.
create function search_rank(head tsvector, words tsvector, query tsquery) returns real
  language sql immutable parallel safe
  return case
    when head @@ query then 1 + ts_rank_cd(head, query, 1 | 32)
    else ts_rank_cd(words, query, 1 | 32)
  end;

-- Servers that are worth ranking where a query matches many: the most popular ones and those
-- with the shortest names; any, until there are enough.
create function server_candidates(query tsquery, is_ranked boolean, wanted bigint)
  returns bigint[]
  language plpgsql stable
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  ids bigint[] := array(
    select s.server_id
      from (select v.id from server v order by v.stars desc, v.id desc limit 200) popular
      join server_search s on s.server_id = popular.id
     where (s.words @@ query) is true
  );
begin
  if is_ranked then
    ids := ids || array(
      select hit.server_id
        from (
          select s.server_id, s.stars, length(s.head) as size
            from server_search s
           where s.head @@ query
           limit 2000
        ) hit
       order by hit.size, hit.stars desc, hit.server_id
       limit 80 + wanted
    );
  end if;
  if cardinality(ids) < wanted then
    ids := ids || array(
      select s.server_id from server_search s where s.words @@ query limit 2 * wanted
    );
  end if;
  return ids;
end
$$;

-- The best servers for a query, within the paths that match a pattern where there is one;
-- `matches` is the number of all, counted up to 10,000. Ranking a row costs ten times what
-- counting it does, so where there are many only candidates are ranked.
create function server_ranked(
  query tsquery, is_ranked boolean, pattern text, wanted bigint
)
  returns table (server_id bigint, matches bigint)
  language plpgsql stable
  rows 20
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  few constant bigint := 500;
  ids bigint[];
  total bigint;
begin
  if pattern is not null then
    ids := server_in_path(pattern);
    ids := array(
      select s.server_id
        from server_search s
       where s.server_id = any(ids)
         and (query is null or s.words @@ query)
    );
    total := cardinality(ids);
  else
    total := (
      select count(*)
        from (select from server_search s where s.words @@ query limit 10000) hit
    );
    if total <= few then
      return query
      select s.server_id, total
        from server_search s
       where s.words @@ query
       order by case when is_ranked then search_rank(s.head, s.words, query) end desc,
                s.stars desc,
                s.server_id
       limit wanted;
      return;
    end if;
    ids := server_candidates(query, is_ranked, wanted);
  end if;

  return query
  select s.server_id, total
    from server_search s
   where s.server_id = any(ids)
   order by case when is_ranked then search_rank(s.head, s.words, query) end desc,
            s.stars desc,
            s.server_id
   limit wanted;
end
$$;

-- The best tools for a query; see server_ranked.
create function tool_ranked(query tsquery, wanted bigint)
  returns table (tool_id bigint, matches bigint)
  language plpgsql stable
  rows 20
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  few constant bigint := 500;
  ids bigint[];
  total constant bigint := (
    select count(*)
      from (select from tool_search f where f.words @@ query limit 10000) hit
  );
begin
  if total <= few then
    return query
    select f.tool_id, total
      from tool_search f
     where f.words @@ query
     order by search_rank(f.head, f.words, query) desc,
              f.tool_id
     limit wanted;
    return;
  end if;

  ids := array(
    select hit.tool_id
      from (
        select f.tool_id, length(f.head) as size
          from tool_search f
         where f.head @@ query
         limit 1000
      ) hit
     order by hit.size, hit.tool_id
     limit 80 + wanted
  );
  if cardinality(ids) < wanted then
    ids := ids || array(
      select f.tool_id from tool_search f where f.words @@ query limit 2 * wanted
    );
  end if;
  return query
  select f.tool_id, total
    from tool_search f
   where f.tool_id = any(ids)
   order by search_rank(f.head, f.words, query) desc,
            f.tool_id
   limit wanted;
end
$$;

-- Whether a query finds anything; one without any word counts as found.
create function search_is_known(asked tsquery) returns boolean
  language plpgsql stable
  set enable_seqscan = off
as $$
begin
  return asked is null
    or exists (select from server_search s where s.words @@ asked)
    or exists (select from tool_search f where f.words @@ asked);
end
$$;

create function search_word_is_known(word text) returns boolean
  language sql stable
  return search_is_known(nullif(plainto_tsquery('english', word), ''::tsquery));

-- Vector search works where the extension is there. The stored arrays do not depend on it, so
-- a catalog moves between servers with and without it.

-- The index of nearest embeddings is built with a shorter list than usual, and read with a
-- longer one: that finds more (96 % of the nearest ten of 6,000 instead of 90 %, in 7 ms) and
-- is built in two thirds of the time.

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
        using hnsw ((embedding::vector(1536)) vector_cosine_ops)
        with (ef_construction = 40);
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

-- The tools whose embeddings point where `probe` does, nearest first; only those of one model
-- and without one tool where these are given. An embedding without a direction is like none.
create function tool_nearest(probe real[], model text, other bigint, wanted bigint)
  returns table (tool_id bigint, similarity double precision)
  language plpgsql stable
  rows 10
  set enable_seqscan = off
  set enable_sort = off
as $$
begin
  if probe is null then
    return;
  end if;
  -- The index gives no more rows than that, unless it may go on: from version 0.8. A caller
  -- has loaded the extension by its cast.
  perform set_config('hnsw.ef_search', '400', true);
  if current_setting('hnsw.iterative_scan', true) is not null then
    perform set_config('hnsw.iterative_scan', 'strict_order', true);
  end if;
  return query
  select near.tool_id, 1 - near.distance
    from (
      select e.tool_id, e.embedding::vector(1536) <=> probe::vector(1536) as distance
        from tool_embedding e
       where (model is null or e.model_name = model)
         and e.tool_id is distinct from other
       order by e.embedding::vector(1536) <=> probe::vector(1536)
       limit wanted
    ) near
   where near.distance <> 'NaN';
end
$$;

call migration_put('0005.ranking');
