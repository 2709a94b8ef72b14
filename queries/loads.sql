-- Loading a registry list: a batch is copied into staging tables, then stored by sets.

-- name: load_lock()^
-- Lets one batch at a time be stored; held until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('mcps load', 0)) is null as is_held;

-- name: load_stage_servers()!
-- Makes the staging table for servers; from here on the name means the temporary one.
create temporary table load_server (like load_server)
  on commit drop;

-- name: load_stage_versions()!
-- Makes the staging table for versions.
create temporary table load_version (like load_version)
  on commit drop;

-- name: load_adopt()!
-- Gives servers that came without a registry name the name of the entry with their URL.
with wanted as (
  select l.registry_name,
         l.base_url,
         row_number() over (partition by l.base_url order by l.registry_name) as turn
    from load_server l
   where not exists (
           select from server s where s.registry_name = l.registry_name
         )
)
update server s
   set registry_name = wanted.registry_name
  from wanted
 where wanted.turn = 1
   and s.registry_name is null
   and s.primary_url = wanted.base_url;

-- name: load_insert_servers()<!
-- Puts in servers that are not there yet; the first by name takes the base URL.
with wanted as (
  select l.registry_name,
         l.base_url,
         l.latest_version,
         l.profile,
         row_number() over (partition by l.base_url order by l.registry_name) as turn
    from load_server l
   where not exists (
           select from server s where s.registry_name = l.registry_name
         )
)
insert into server (
  registry_name, primary_url, latest_version, last_indexed_at,
  name, title, host_type, description, homepage, author_name, license,
  readme_content, keywords, categories, stars, forks, open_issues, field_sources
)
select wanted.registry_name,
       case
         when turn = 1
          and not exists (select from server s where s.primary_url = base_url)
         then base_url
         else base_url || '#' || wanted.registry_name
       end,
       wanted.latest_version,
       now(),
       p.name, p.title, p.host_type, p.description, p.homepage, p.author_name, p.license,
       p.readme_content, p.keywords, p.categories,
       coalesce(p.stars, 0), coalesce(p.forks, 0), coalesce(p.open_issues, 0),
       p.field_sources
  from wanted
 cross join lateral jsonb_populate_record(null::server, wanted.profile::jsonb) p
 order by wanted.registry_name
    on conflict do nothing
returning id, registry_name;

-- name: load_insert_versions(origin)<!
-- Puts in versions that are not there yet, with the mark where a server has no others.
insert into server_version (
  server_id, is_latest, registry_name, version, document, status, status_message,
  published_at, source_updated_at, status_changed_at, precedence, content_hash, problems,
  origin
)
select s.id,
       l.version = latest.latest_version
         and not exists (select from server_version o where o.server_id = s.id),
       l.registry_name,
       l.version,
       l.document::json,
       l.status,
       l.status_message,
       l.published_at::timestamptz,
       coalesce(l.source_updated_at::timestamptz, now()),
       l.status_changed_at::timestamptz,
       l.precedence,
       l.content_hash,
       l.problems::json,
       :origin::text
  from load_version l
  join load_server latest
    on latest.registry_name = l.registry_name
  join server s
    on s.registry_name = l.registry_name
 where not exists (
         select
           from server_version v
          where v.registry_name = l.registry_name
            and v.version = l.version
       )
    on conflict do nothing
returning server_id, registry_name, version;

-- name: load_replace_versions(origin)<!
-- Replaces stored versions by newer ones and by later ones of the same load. A registry
-- also rewrites what came from it, or from a file, without moving the time; never what
-- came by the API.
update server_version v
   set document = l.document::json,
       status = l.status,
       status_message = l.status_message,
       published_at = l.published_at::timestamptz,
       updated_at = now(),
       source_updated_at = coalesce(l.source_updated_at::timestamptz, now()),
       status_changed_at = l.status_changed_at::timestamptz,
       precedence = l.precedence,
       content_hash = l.content_hash,
       problems = l.problems::json,
       origin = :origin::text
  from load_version l
 where v.registry_name = l.registry_name
   and v.version = l.version
   and (v.origin <> 'api' or :origin::text = 'load')
   and (
         l.source_updated_at::timestamptz > v.source_updated_at
         or (
           (
             l.is_again
             or (v.origin = :origin::text and :origin::text <> 'load')
             or (v.origin = 'load' and :origin::text <> 'load'
                 and l.source_updated_at::timestamptz = v.source_updated_at)
           )
           and (l.content_hash, l.status, l.status_message)
                 is distinct from (v.content_hash, v.status, v.status_message)
         )
       )
returning v.server_id, v.registry_name, v.version;

-- name: load_missing()
-- Entries of the batch whose server could not be put in.
select l.registry_name
  from load_server l
 where not exists (
         select from server s where s.registry_name = l.registry_name
       );

-- name: load_clear_latest(server_ids)!
-- Takes the mark from versions of these servers that are not the latest any more.
with touched as (
  select value::bigint as id
    from jsonb_array_elements_text(:server_ids::text::jsonb)
), best as (
  select distinct on (v.server_id)
         v.server_id,
         v.id
    from touched
    join server_version v
      on v.server_id = touched.id
   order by v.server_id,
            v.status = 'deleted',
            v.precedence desc,
            v.published_at desc,
            v.version desc
)
update server_version v
   set is_latest = false,
       updated_at = now()
  from best
 where v.server_id = best.server_id
   and v.is_latest
   and v.id <> best.id;

-- name: load_set_latest(server_ids)!
-- Marks the latest version of these servers: the highest that is not deleted.
with touched as (
  select value::bigint as id
    from jsonb_array_elements_text(:server_ids::text::jsonb)
), best as (
  select distinct on (v.server_id)
         v.id
    from touched
    join server_version v
      on v.server_id = touched.id
   order by v.server_id,
            v.status = 'deleted',
            v.precedence desc,
            v.published_at desc,
            v.version desc
)
update server_version v
   set is_latest = true,
       updated_at = now()
  from best
 where v.id = best.id
   and not v.is_latest;

-- name: load_behind(server_ids, replaced_ids)
-- Latest documents of those servers that do not show them yet.
select s.id,
       s.registry_name,
       v.version,
       v.document::text as document,
       s.field_sources::text as field_sources,
       (select coalesce(jsonb_object_agg(f.key, to_jsonb(s) -> f.key), '{}')
          from jsonb_each_text(s.field_sources) f
         where f.value <> 'registry')::text as others
  from jsonb_array_elements_text(:server_ids::text::jsonb) touched
  join server s
    on s.id = touched.value::bigint
  join server_version v
    on v.server_id = s.id
   and v.is_latest
 where s.latest_version is distinct from v.version
    or s.id in (
         select value::bigint
           from jsonb_array_elements_text(:replaced_ids::text::jsonb)
       );

-- name: load_describe(profiles)!
-- Lets servers show their latest version; what no version of theirs ever said stays.
update server s
   set name = p.name,
       title = coalesce(p.title, case when not said.title then s.title end),
       homepage = coalesce(p.homepage, case when not said.homepage then s.homepage end),
       description = p.description,
       latest_version = p.latest_version,
       host_type = p.host_type,
       author_name = coalesce(p.author_name, s.author_name),
       license = coalesce(p.license, s.license),
       readme_content = coalesce(p.readme_content, s.readme_content),
       keywords = case when p.keywords = '[]' then s.keywords else p.keywords end,
       categories = case when p.categories = '[]' then s.categories else p.categories end,
       stars = coalesce(p.stars, s.stars),
       forks = coalesce(p.forks, s.forks),
       open_issues = coalesce(p.open_issues, s.open_issues),
       field_sources = p.field_sources,
       last_indexed_at = now(),
       updated_at = now()
  from jsonb_populate_recordset(null::server, :profiles::text::jsonb) p
 cross join lateral (
         select coalesce(bool_or(btrim(v.document ->> 'title') = o.title), false) as title,
                coalesce(bool_or(btrim(v.document ->> 'websiteUrl') = o.homepage), false)
                  as homepage
           from server o
           join server_version v
             on v.server_id = o.id
          where o.id = p.id
            and (p.title is null or p.homepage is null)
       ) said
 where s.id = p.id;

-- name: load_touch(server_ids)!
-- Moves the time of servers with new versions that show nothing new themselves.
update server
   set updated_at = now(),
       last_indexed_at = now()
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:server_ids::text::jsonb)
       )
   and updated_at < now();

-- name: load_seen()!
-- Notes that servers still exist at their source; once a day is enough to keep them.
update server s
   set last_indexed_at = now()
  from load_server l
 where s.registry_name = l.registry_name
   and (s.last_indexed_at is null or s.last_indexed_at < now() - interval '1 day');

-- name: load_is_due()$
-- Whether there is nothing in the catalog yet.
select not exists (select from server) as is_due;

-- name: load_tools(items)!
-- Puts in tools of servers that are given by registry name.
insert into tool (server_id, name, description, input_schema)
select s.id,
       i.name,
       i.description,
       i.input_schema
  from json_to_recordset(:items::text::json)
    as i(server text, name text, description text, input_schema json)
  join server s
    on s.registry_name = i.server;

-- name: load_prompts(items)!
-- Puts in prompts.
insert into prompt (server_id, name, description, arguments)
select s.id,
       i.name,
       i.description,
       i.arguments
  from json_to_recordset(:items::text::json)
    as i(server text, name text, description text, arguments json)
  join server s
    on s.registry_name = i.server;

-- name: load_resources(items)!
-- Puts in resource templates.
insert into resource_template (server_id, uri_template, name, mime_type, description)
select s.id,
       i.uri_template,
       i.name,
       i.mime_type,
       i.description
  from json_to_recordset(:items::text::json)
    as i(server text, uri_template text, name text, mime_type text, description text)
  join server s
    on s.registry_name = i.server;

-- name: load_dependencies(items)!
-- Puts in dependencies.
insert into dependency (server_id, library_name, version_constraint, ecosystem, type)
select s.id,
       i.library_name,
       i.version_constraint,
       i.ecosystem,
       i.type
  from json_to_recordset(:items::text::json)
    as i(server text, library_name text, version_constraint text, ecosystem text, type text)
  join server s
    on s.registry_name = i.server;

-- name: load_releases(items)!
-- Puts in releases.
insert into release (server_id, version, changelog, published_at)
select s.id,
       i.version,
       i.changelog,
       i.published_at
  from json_to_recordset(:items::text::json)
    as i(server text, version text, changelog text, published_at timestamptz)
  join server s
    on s.registry_name = i.server;

-- name: load_contributors(items)!
-- Puts in contributors.
insert into contributor (server_id, username, platform, commits)
select s.id,
       i.username,
       i.platform,
       i.commits
  from json_to_recordset(:items::text::json)
    as i(server text, username text, platform text, commits bigint)
  join server s
    on s.registry_name = i.server;

-- name: load_count_words()!
-- Counts in how many texts each word of the catalog occurs; forgets the other words.
with kept as (
  select ctid as place,
         word,
         uses,
         row_number() over (partition by word, uses) as turn
    from search_word
), difference as materialized (
  select kept.place,
         found.word,
         found.uses
    from search_word_found found
    full join kept
      on (kept.word, kept.uses, kept.turn) = (found.word, found.uses, 1)
   where kept.place is null
      or found.word is null
), gone as (
  delete from search_word
   where ctid = any(array(select place from difference where place is not null))
)
insert into search_word (word, uses)
select word,
       uses
  from difference
 where word is not null
 order by word;

-- name: load_analyze()!
-- Tells the planner what a large load changed.
analyze server, server_version, server_search, server_path, search_word;
