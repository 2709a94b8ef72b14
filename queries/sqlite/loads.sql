-- Loading a registry list: a batch is copied into staging tables, then stored by sets.

-- name: load_lock()^
-- Nothing to wait for: the transaction that asks is the only one that writes.
select 'held' as is_held;

-- name: load_stage_servers()!
-- Clears the staging table for servers.
delete from load_server;

-- name: load_stage_versions()!
-- Clears the staging table for versions.
delete from load_version;

-- name: load_adopt()!
-- Gives servers that came without a registry name the name of the entry with their URL.
with wanted as (
  select l.registry_name,
         l.base_url,
         row_number() over (partition by l.base_url order by l.registry_name) as turn
    from load_server l
   where not exists (
           select 1 from server s where s.registry_name = l.registry_name
         )
)
update server
   set registry_name = wanted.registry_name
  from wanted
 where wanted.turn = 1
   and server.registry_name is null
   and server.primary_url = wanted.base_url;

-- name: load_insert_servers()<!
-- Puts in servers that are not there yet; the first by name takes the base URL.
with wanted as (
  select l.registry_name, l.base_url, l.latest_version, l.profile as p,
         row_number() over (partition by l.base_url order by l.registry_name) as turn
    from load_server l
   where not exists (
           select 1 from server s where s.registry_name = l.registry_name
         )
)
insert into server (
  registry_name, primary_url, latest_version, last_indexed_at,
  name, title, host_type, description, homepage, author_name, license,
  readme_content, keywords, categories, stars, forks, open_issues, field_sources
)
select registry_name,
       case
         when turn = 1
          and not exists (select 1 from server s where s.primary_url = base_url)
         then base_url
         else base_url || '#' || registry_name
       end,
       latest_version,
       strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       p ->> 'name', p ->> 'title', p ->> 'host_type', p ->> 'description',
       p ->> 'homepage', p ->> 'author_name', p ->> 'license', p ->> 'readme_content',
       p ->> 'keywords', p ->> 'categories', coalesce(p ->> 'stars', 0),
       coalesce(p ->> 'forks', 0), coalesce(p ->> 'open_issues', 0), p -> 'field_sources'
  from wanted
 where true
 order by registry_name
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
         and not exists (select 1 from server_version o where o.server_id = s.id),
       l.registry_name,
       l.version,
       l.document,
       l.status,
       l.status_message,
       utc_text(l.published_at),
       coalesce(utc_text(l.source_updated_at), strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
       utc_text(l.status_changed_at),
       l.precedence,
       l.content_hash,
       l.problems,
       :origin
  from load_version l
  join load_server latest
    on latest.registry_name = l.registry_name
  join server s
    on s.registry_name = l.registry_name
 where not exists (
         select 1
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
update server_version as v
   set document = l.document,
       status = l.status,
       status_message = l.status_message,
       published_at = utc_text(l.published_at),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       source_updated_at = coalesce(
         utc_text(l.source_updated_at), strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
       ),
       status_changed_at = utc_text(l.status_changed_at),
       precedence = l.precedence,
       content_hash = l.content_hash,
       problems = l.problems,
       origin = :origin
  from load_version l
 where v.registry_name = l.registry_name
   and v.version = l.version
   and (v.origin <> 'api' or :origin = 'load')
   and (
         utc_text(l.source_updated_at) > v.source_updated_at
         or (
           (
             l.is_again
             or (v.origin = :origin and :origin <> 'load')
             or (v.origin = 'load' and :origin <> 'load'
                 and utc_text(l.source_updated_at) = v.source_updated_at)
           )
           and (l.content_hash, l.status, l.status_message)
                 is not (v.content_hash, v.status, v.status_message)
         )
       )
returning server_id, registry_name, version;

-- name: load_missing()
-- Entries of the batch whose server could not be put in.
select l.registry_name
  from load_server l
 where not exists (
         select 1 from server s where s.registry_name = l.registry_name
       );

-- name: load_clear_latest(server_ids)!
-- Takes the mark from versions of these servers that are not the latest any more.
with touched as (
  select value as id
    from json_each(:server_ids)
), best as (
  select id, server_id
    from (
      select v.id,
             v.server_id,
             row_number() over (
               partition by v.server_id
               order by v.status = 'deleted', v.precedence desc, v.published_at desc,
                        v.version desc
             ) as rank
        from touched
        join server_version v
          on v.server_id = touched.id
    )
   where rank = 1
)
update server_version as v
   set is_latest = 0,
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from best
 where v.server_id = best.server_id
   and v.is_latest
   and v.id <> best.id;

-- name: load_set_latest(server_ids)!
-- Marks the latest version of these servers: the highest that is not deleted.
with touched as (
  select value as id
    from json_each(:server_ids)
), best as (
  select id, server_id
    from (
      select v.id,
             v.server_id,
             row_number() over (
               partition by v.server_id
               order by v.status = 'deleted', v.precedence desc, v.published_at desc,
                        v.version desc
             ) as rank
        from touched
        join server_version v
          on v.server_id = touched.id
    )
   where rank = 1
)
update server_version as v
   set is_latest = 1,
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from best
 where v.id = best.id
   and not v.is_latest;

-- name: load_behind(server_ids, replaced_ids)
-- Latest documents of those servers that do not show them yet.
select s.id,
       s.registry_name,
       v.version,
       v.document,
       s.field_sources,
       (select json_group_object(f.key, now.doc -> f.key)
          from json_each(s.field_sources) f
          join server_fields now
            on now.id = s.id
         where f.value <> 'registry') as others
  from json_each(:server_ids) touched
  join server s
    on s.id = touched.value
  join server_version v
    on v.server_id = s.id
   and v.is_latest
 where s.latest_version is not v.version
    or s.id in (select value from json_each(:replaced_ids));

-- name: load_describe(profiles)!
-- Lets servers show their latest version; what no version of theirs ever said stays.
update server as s
   set name = p ->> 'name',
       title = coalesce(p ->> 'title', iif(exists (
         select 1 from server_version v
          where v.server_id = s.id and trim(v.document ->> 'title') = s.title
       ), null, s.title)),
       homepage = coalesce(p ->> 'homepage', iif(exists (
         select 1 from server_version v
          where v.server_id = s.id and trim(v.document ->> 'websiteUrl') = s.homepage
       ), null, s.homepage)),
       description = p ->> 'description',
       latest_version = p ->> 'latest_version',
       host_type = p ->> 'host_type',
       author_name = coalesce(p ->> 'author_name', s.author_name),
       license = coalesce(p ->> 'license', s.license),
       readme_content = coalesce(p ->> 'readme_content', s.readme_content),
       keywords = iif(p ->> 'keywords' = '[]', s.keywords, p ->> 'keywords'),
       categories = iif(p ->> 'categories' = '[]', s.categories, p ->> 'categories'),
       stars = coalesce(p ->> 'stars', s.stars),
       forks = coalesce(p ->> 'forks', s.forks),
       open_issues = coalesce(p ->> 'open_issues', s.open_issues),
       field_sources = p -> 'field_sources',
       last_indexed_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from (select value as p from json_each(:profiles)) profile
 where s.id = p ->> 'id';

-- name: load_touch(server_ids)!
-- Moves the time of servers with new versions that show nothing new themselves.
update server
   set updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       last_indexed_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where id in (select value from json_each(:server_ids))
   and updated_at < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now');

-- name: load_seen()!
-- Notes that servers still exist at their source; once a day is enough to keep them.
update server as s
   set last_indexed_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from load_server l
 where s.registry_name = l.registry_name
   and (
         s.last_indexed_at is null
         or s.last_indexed_at < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 day')
       );

-- name: load_is_due()$
-- Whether there is nothing in the catalog yet.
select not exists (select 1 from server) as is_due;

-- name: load_tools(items)!
-- Puts in tools of servers that are given by registry name.
insert into tool (server_id, name, description, input_schema)
select s.id,
       i.value ->> 'name',
       i.value ->> 'description',
       nullif(i.value -> 'input_schema', 'null')
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_prompts(items)!
-- Puts in prompts.
insert into prompt (server_id, name, description, arguments)
select s.id,
       i.value ->> 'name',
       i.value ->> 'description',
       nullif(i.value -> 'arguments', 'null')
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_resources(items)!
-- Puts in resource templates.
insert into resource_template (server_id, uri_template, name, mime_type, description)
select s.id,
       i.value ->> 'uri_template',
       i.value ->> 'name',
       i.value ->> 'mime_type',
       i.value ->> 'description'
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_dependencies(items)!
-- Puts in dependencies.
insert into dependency (server_id, library_name, version_constraint, ecosystem, type)
select s.id,
       i.value ->> 'library_name',
       i.value ->> 'version_constraint',
       i.value ->> 'ecosystem',
       i.value ->> 'type'
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_releases(items)!
-- Puts in releases.
insert into release (server_id, version, changelog, published_at)
select s.id,
       i.value ->> 'version',
       i.value ->> 'changelog',
       utc_text(i.value ->> 'published_at')
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_contributors(items)!
-- Puts in contributors.
insert into contributor (server_id, username, platform, commits)
select s.id,
       i.value ->> 'username',
       i.value ->> 'platform',
       i.value ->> 'commits'
  from json_each(:items) i
  join server s
    on s.registry_name = i.value ->> 'server';

-- name: load_count_words()!
-- Puts the parts of the text indexes together; they count the words by themselves.
insert into server_search (server_search) values ('optimize');
insert into server_word (server_word) values ('optimize');
insert into tool_search (tool_search) values ('optimize');
insert into tool_word (tool_word) values ('optimize');

-- name: load_analyze()!
-- Tells the planner what a large load changed.
analyze server;
analyze server_version;
analyze tool;
