-- What is searched lives in a table of its own: a change of a score or a counter then
-- leaves the text indexes alone.

create table server_search (
  server_id bigint primary key references server on delete cascade,
  words tsvector not null,
  path text collate "C" not null,
  stars bigint not null
) with (fillfactor = 90);

create index server_search_words on server_search using gin (words);
create index server_search_path on server_search using gin (path gin_trgm_ops);

-- The words of the catalog itself, to mend typing errors with.
create table search_word (
  word text collate "C" primary key,
  uses integer not null default 1
);

create index search_word_by_trigram on search_word using gin (word gin_trgm_ops);

-- Writes the search rows of some servers anew. The plan is kept for the session and may have
-- been made while the tables were empty, so it is held to the indexes.
create function server_search_put(ids bigint[]) returns void
  language plpgsql
  set enable_seqscan = off
as $$
begin
  with text as materialized (
    select s.id,
           s.stars,
           lower(coalesce(s.registry_name, '') || ' ' || s.primary_url) as path,
           name_words(left(coalesce(s.registry_name, s.name), 1000))
             || ' ' || name_words(left(s.name, 1000)) as name,
           coalesce(s.title, '') as title,
           left(coalesce(s.description, ''), 10000)
             || ' ' || left(s.keywords::text, 10000) as about,
           left(coalesce(tools.names, ''), 100000) as tools
      from server s
      left join lateral (
        select string_agg(name_words(left(t.name, 200)), ' ') as names
          from tool t
         where t.server_id = s.id
      ) tools on true
     where s.id = any(ids)
  ), vocabulary as (
    insert into search_word (word)
    select distinct token
      from text,
           regexp_split_to_table(
             lower(concat_ws(' ', text.name, text.title, text.about, text.tools)),
             '[^[:alnum:]]+'
           ) token
     where char_length(token) between 3 and 40
     order by token
        on conflict do nothing
  )
  insert into server_search (server_id, words, path, stars)
  select text.id,
         setweight(to_tsvector('english', text.name), 'A')
           || setweight(to_tsvector('english', text.title), 'B')
           || setweight(to_tsvector('english', text.about), 'C')
           || setweight(to_tsvector('english', text.tools), 'D'),
         text.path,
         text.stars
    from text
      on conflict (server_id) do update
     set words = excluded.words,
         path = excluded.path,
         stars = excluded.stars;
end
$$;

create function server_search_inserted() returns trigger
  language plpgsql
as $$
begin
  perform server_search_put(array(select id from changed));
  return null;
end
$$;

create trigger server_search_inserted
  after insert on server
  referencing new table as changed
  for each statement execute function server_search_inserted();

create function server_search_updated() returns trigger
  language plpgsql
as $$
begin
  perform server_search_put(array[new.id]);
  return null;
end
$$;

create trigger server_search_updated
  after update on server
  for each row
  when (
    (old.name, old.registry_name, old.title, old.description, old.keywords, old.primary_url)
    is distinct from
    (new.name, new.registry_name, new.title, new.description, new.keywords, new.primary_url)
  )
  execute function server_search_updated();

create function server_search_stars() returns trigger
  language plpgsql
as $$
begin
  update server_search
     set stars = new.stars
   where server_id = new.id;
  return null;
end
$$;

create trigger server_search_stars
  after update on server
  for each row
  when (old.stars <> new.stars)
  execute function server_search_stars();

create function server_search_tools() returns trigger
  language plpgsql
as $$
begin
  perform server_search_put(array(select distinct server_id from changed));
  return null;
end
$$;

create trigger tool_inserted
  after insert on tool
  referencing new table as changed
  for each statement execute function server_search_tools();

create trigger tool_updated
  after update on tool
  referencing new table as changed
  for each statement execute function server_search_tools();

create trigger tool_deleted
  after delete on tool
  referencing old table as changed
  for each statement execute function server_search_tools();

call migration_put('0004.search');
