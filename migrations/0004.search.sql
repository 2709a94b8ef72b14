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
  using gin (path gin_trgm_ops);

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
  with found as materialized (
    select distinct token
      from unnest(texts) part,
           string_to_table(lower(part), ' ') token
     where char_length(token) between 3 and 40
  )
  insert into search_word (word)
  select token
    from found
   where not exists (select from search_word w where w.word = token)
     and token ~ '[^0-9]'
     and ts_lexize('english_stem', token) <> '{}';
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

-- Where the server went with its tools there is nothing to do.
create function tool_search_deleted() returns trigger
  language plpgsql
  set enable_seqscan = off
as $$
declare
  ids bigint[];
begin
  select array_agg(s.id) into ids
    from server s
   where s.id = any(array(select o.server_id from old_rows o));

  if ids is not null then
    perform server_search_put(ids);
  end if;
  return null;
end
$$;

create trigger tool_search_deleted
  after delete on tool
  referencing old table as old_rows
  for each statement execute function tool_search_deleted();

call migration_put('0004.search');
