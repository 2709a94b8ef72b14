-- What loading needs: when the source says a version was changed, and the staging tables.

-- updated_at is the clock of this catalog, for those who mirror it; this is the clock of
-- the source, and only it decides whether an incoming version is newer than the stored one.
alter table server_version
  add column source_updated_at timestamptz not null default now();

-- Always empty: a batch is copied into temporary tables made like these.
create table load_server (
  registry_name text collate "C" not null,
  base_url text collate "C" not null,
  latest_version text collate "C" not null,
  profile text not null
);

create table load_version (
  registry_name text collate "C" not null,
  version text collate "C" not null,
  document text not null,
  status text not null,
  status_message text,
  published_at text not null,
  source_updated_at text,
  status_changed_at text not null,
  precedence text collate "C" not null,
  content_hash bytea not null,
  problems text not null,
  is_again boolean not null
);

-- The words of the catalog as they are now, and in how many texts each occurs; what counts
-- as a word is said by search_word_put.
create view search_word_found as
select word,
       count(distinct text.id) as uses
  from (
    select 's' || s.id as id,
           search_name(left(s.name, 1000)) || ' '
             || search_name(left(coalesce(s.registry_name, ''), 1000)) || ' '
             || search_text(concat_ws(
               ' ', s.title, left(s.description, 10000), left(s.keywords::text, 10000)
             )) as words
      from server s
     union all
    select 't' || t.id,
           search_name(left(t.name, 200)) || ' '
             || search_text(left(coalesce(t.description, ''), 10000))
      from tool t
  ) text
 cross join string_to_table(lower(text.words), ' ') word
 where char_length(word) between 3 and 40
   and word ~ '[^0-9]'
 group by word
having ts_lexize('english_stem', word) <> '{}';

call migration_put('0007.load');
