-- What is searched lives in tables of its own: a change of a score or a counter then
-- leaves the text indexes alone, and the rows that a frequent word finds lie close together.

-- Cuts text where a search cuts its words; does not depend on the locale.
create function search_text(value text) returns text
  language sql immutable parallel safe
  return regexp_replace(
    value,
    '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+',
    ' ', 'g'
  );

-- The words of a name: what follows its last slash, whole and cut at capitals.
create function search_name(name text) returns text
  language sql immutable parallel safe
  return case
    when split_part(name, '/', -1) ~ '[a-z0-9][A-Z]|[A-Z][A-Z][a-z]' then
      search_text(
        split_part(name, '/', -1) || ' '
        || regexp_replace(
          split_part(name, '/', -1),
          '([a-z0-9])(?=[A-Z])|([A-Z])(?=[A-Z][a-z])', '\1\2 ', 'g'
        )
      )
    else search_text(split_part(name, '/', -1))
  end;

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

-- `head` is the name part and the title without the words that nearly every entry has;
-- `words` is everything.
create table server_search (
  server_id bigint primary key references server on delete cascade,
  stars bigint not null,
  head tsvector not null,
  words tsvector not null
) with (fillfactor = 90);

-- A long list of entries not yet sorted in would slow every search.
create index server_search_head on server_search
  using gin (head) with (gin_pending_list_limit = 256);
create index server_search_words on server_search
  using gin (words) with (gin_pending_list_limit = 256);

create table server_path (
  server_id bigint primary key references server on delete cascade,
  path text collate "C" not null
);

create index server_path_by_trigram on server_path
  using gin (path gin_trgm_ops) with (gin_pending_list_limit = 512);

create table tool_search (
  tool_id bigint primary key references tool on delete cascade,
  head tsvector not null,
  words tsvector not null
);

create index tool_search_head on tool_search
  using gin (head) with (gin_pending_list_limit = 256);
create index tool_search_words on tool_search
  using gin (words) with (gin_pending_list_limit = 256);

-- The words of the catalog itself, to mend typing errors with. A word may be there twice:
-- if it had to be unique, a transaction with a new word would wait for every other one.
create table search_word (
  word text collate "C" not null,
  uses bigint not null default 1
) with (fillfactor = 90);

create index search_word_by_word on search_word (word);
create index search_word_by_trigram on search_word using gin (word gin_trgm_ops);

create function search_word_put(texts text[]) returns void
  language plpgsql
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
begin
  insert into search_word (word)
  select token
    from (
      select distinct token
        from unnest(texts) part,
             string_to_table(lower(part), ' ') token
       where char_length(token) between 3 and 40
    ) found
   where token ~ '[^0-9]'
     and ts_lexize('english_stem', token) <> '{}'
     and not exists (select from search_word w where w.word = token);
end
$$;

-- Writes the search rows of some servers anew. A session keeps the plan it made first, maybe
-- of empty tables, so the functions of this file are held to the indexes.
create function server_search_put(ids bigint[]) returns void
  language plpgsql
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  texts text[];
begin
  with text as materialized (
    select s.id,
           s.stars,
           search_name(left(s.name, 1000)) || case
             when split_part(s.registry_name, '/', -1) <> split_part(s.name, '/', -1)
               then ' ' || search_name(left(s.registry_name, 1000))
             else ''
           end as name,
           search_text(coalesce(s.title, '')) as title,
           search_text(
             left(coalesce(s.description, ''), 10000) || ' ' || left(s.keywords::text, 10000)
           ) as about,
           coalesce(tools.names, '') as tools
      from server s
      left join lateral (
        select left(string_agg(search_name(left(t.name, 200)), ' '), 100000) as names
          from tool t
         where t.server_id = s.id
      ) tools on true
     where s.id = any(ids)
  ), vectors as materialized (
    select id,
           stars,
           setweight(to_tsvector('english', name), 'A')
             || setweight(to_tsvector('english', title), 'B') as head,
           setweight(to_tsvector('english', about), 'C')
             || setweight(to_tsvector('english', tools), 'D') as rest
      from text
  ), put as (
    insert into server_search (server_id, stars, head, words)
    select id, stars, ts_delete(head, '{mcp,server}'), head || rest
      from vectors
        on conflict (server_id) do update
       set stars = excluded.stars,
           head = excluded.head,
           words = excluded.words
  )
  select array_agg(concat_ws(' ', name, title, about, tools)) into texts
    from text;

  perform search_word_put(texts);
end
$$;

create function server_path_put(ids bigint[]) returns void
  language plpgsql
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
begin
  insert into server_path (server_id, path)
  select s.id,
         lower(concat_ws(
           ' ', s.registry_name, regexp_replace(s.primary_url, '^[a-z]+://(www\.)?', '', 'i')
         ))
    from server s
   where s.id = any(ids)
      on conflict (server_id) do update
     set path = excluded.path;
end
$$;

create function server_search_put_stars(ids bigint[]) returns void
  language plpgsql
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
begin
  update server_search f
     set stars = s.stars
    from server s
   where s.id = any(ids)
     and f.server_id = s.id
     and f.stars <> s.stars;
end
$$;

create function tool_search_put(ids bigint[]) returns void
  language plpgsql
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
declare
  texts text[];
begin
  with text as materialized (
    select t.id,
           search_name(left(t.name, 1000)) as name,
           search_text(left(coalesce(t.description, ''), 10000)) as about
      from tool t
     where t.id = any(ids)
  ), vectors as materialized (
    select id,
           setweight(to_tsvector('english', name), 'A') as head,
           setweight(to_tsvector('english', about), 'C') as rest
      from text
  ), put as (
    insert into tool_search (tool_id, head, words)
    select id, head, head || rest
      from vectors
        on conflict (tool_id) do update
       set head = excluded.head,
           words = excluded.words
  )
  select array_agg(about) into texts
    from text;

  perform search_word_put(texts);
end
$$;

-- The best servers for a query, within the paths that match a pattern where there is one.
-- `matches` is the number of all. Servers that hold every word in their name part or title
-- come first; of the others the most popular ones are ranked, because ranking each of many
-- thousand rows costs more than finding them.
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
begin
  return query
  with hit as materialized (
    select s.server_id, s.stars
      from server_search s
     where pattern is null
       and s.words @@ query
     union all
    select s.server_id, s.stars
      from server_path p
      join server_search s on s.server_id = p.server_id
     where p.path like pattern
       and (query is null or s.words @@ query)
  ), candidate as (
    (
      select hit.server_id
        from hit
       order by hit.stars desc, hit.server_id
       limit 300
    )
     union
    select s.server_id
      from server_search s
     where pattern is null
       and is_ranked
       and s.head @@ query
  )
  select s.server_id, (select count(*) from hit)
    from candidate
    join server_search s on s.server_id = candidate.server_id
   order by case
              when not is_ranked then 0
              when s.head @@ query then 1 + ts_rank_cd(s.head, query, 2 | 4)
              else ts_rank_cd(s.words, query, 2 | 4)
            end desc,
            s.stars desc,
            s.server_id
   limit wanted;
end
$$;

-- The best tools for a query; see server_ranked.
create function tool_ranked(query tsquery, pattern text, wanted bigint)
  returns table (tool_id bigint, matches bigint)
  language plpgsql stable
  rows 20
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_nestloop = on
as $$
begin
  return query
  with hit as materialized (
    select f.tool_id
      from tool_search f
     where pattern is null
       and f.words @@ query
     union all
    select f.tool_id
      from server_path p
      join tool t on t.server_id = p.server_id
      join tool_search f on f.tool_id = t.id
     where p.path like pattern
       and f.words @@ query
  ), candidate as (
    (
      select hit.tool_id
        from hit
       order by hit.tool_id
       limit 300
    )
     union
    select f.tool_id
      from tool_search f
     where pattern is null
       and f.head @@ query
  )
  select f.tool_id, (select count(*) from hit)
    from candidate
    join tool_search f on f.tool_id = candidate.tool_id
   order by case
              when f.head @@ query then 1 + ts_rank_cd(f.head, query, 2 | 4)
              else ts_rank_cd(f.words, query, 2 | 4)
            end desc,
            f.tool_id
   limit wanted;
end
$$;

-- Whether a word alone finds anything; a word that no text can hold counts as known.
create function search_word_is_known(word text) returns boolean
  language plpgsql stable
  set enable_seqscan = off
as $$
declare
  query constant tsquery := plainto_tsquery('english', word);
begin
  return numnode(query) = 0
    or exists (select from server_search s where s.words @@ query)
    or exists (select from tool_search f where f.words @@ query);
end
$$;

create function server_search_inserted() returns trigger
  language plpgsql
as $$
declare
  ids constant bigint[] := array(select id from new_rows);
begin
  perform server_search_put(ids);
  perform server_path_put(ids);
  return null;
end
$$;

create trigger server_search_inserted
  after insert on server
  referencing new table as new_rows
  for each statement execute function server_search_inserted();

-- Joins the rows of one statement, however many: never in a nested loop.
create function server_search_updated() returns trigger
  language plpgsql
  set enable_nestloop = off
as $$
declare
  text_ids bigint[];
  path_ids bigint[];
  stars_ids bigint[];
begin
  select array_agg(n.id) filter (
           where (o.name, o.registry_name, o.title, o.description, o.keywords)
             is distinct from
             (n.name, n.registry_name, n.title, n.description, n.keywords)
         ),
         array_agg(n.id) filter (
           where (o.registry_name, o.primary_url)
             is distinct from (n.registry_name, n.primary_url)
         ),
         array_agg(n.id) filter (where o.stars <> n.stars)
    into text_ids, path_ids, stars_ids
    from new_rows n
    join old_rows o on o.id = n.id;

  if text_ids is not null then
    perform server_search_put(text_ids);
  end if;
  if path_ids is not null then
    perform server_path_put(path_ids);
  end if;
  if stars_ids is not null then
    perform server_search_put_stars(stars_ids);
  end if;
  return null;
end
$$;

create trigger server_search_updated
  after update on server
  referencing old table as old_rows new table as new_rows
  for each statement execute function server_search_updated();

create function tool_search_inserted() returns trigger
  language plpgsql
as $$
begin
  perform tool_search_put(array(select id from new_rows));
  perform server_search_put(array(select distinct server_id from new_rows));
  return null;
end
$$;

create trigger tool_search_inserted
  after insert on tool
  referencing new table as new_rows
  for each statement execute function tool_search_inserted();

create function tool_search_updated() returns trigger
  language plpgsql
  set enable_nestloop = off
as $$
declare
  ids bigint[];
  server_ids bigint[];
begin
  select array_agg(n.id),
         array_agg(o.server_id) filter (where moved) || array_agg(n.server_id) filter (where moved)
    into ids, server_ids
    from new_rows n
    join old_rows o on o.id = n.id
   cross join lateral (
     select (o.name, o.server_id) <> (n.name, n.server_id) as moved
   ) was
   where moved
      or o.description is distinct from n.description;

  if ids is not null then
    perform tool_search_put(ids);
  end if;
  if server_ids is not null then
    perform server_search_put(array(select distinct unnest(server_ids)));
  end if;
  return null;
end
$$;

create trigger tool_search_updated
  after update on tool
  referencing old table as old_rows new table as new_rows
  for each statement execute function tool_search_updated();

create function tool_search_deleted() returns trigger
  language plpgsql
as $$
begin
  perform server_search_put(array(select distinct server_id from old_rows));
  return null;
end
$$;

create trigger tool_search_deleted
  after delete on tool
  referencing old table as old_rows
  for each statement execute function tool_search_deleted();

call migration_put('0004.search');
