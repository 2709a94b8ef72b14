-- Publishing: what is checked and written while the name of a server is held.

-- name: publish_hold(name)^
-- Keeps others from writing the versions of one server; the time of what is written.
with held as materialized (
  select pg_advisory_xact_lock(hashtextextended('mcps publish ' || :name::text, 0))::text
           as answer
)
select utc_text(now()) as at
  from held
 where answer = '';

-- name: publish_hold_remotes()^
-- Keeps others from publishing anything that is reached at a URL.
select pg_advisory_xact_lock(hashtextextended('mcps remotes', 0))::text as answer;

-- name: publish_count(name, version)^
-- How many versions a server has, and whether this one is among them.
select count(*) as number,
       coalesce(bool_or(version = :version::text), false) as is_taken
  from server_version
 where registry_name = :name::text;

-- name: publish_rival(name, urls)^
-- A server of another name that is reached at one of these URLs.
select rival.registry_name,
       url
  from jsonb_array_elements_text(:urls::text::jsonb) url
 cross join lateral (
   select registry_name
     from server_version
    where registry_remotes(document) ? url
      and registry_name <> :name::text
      and status <> 'deleted'
    limit 1
 ) rival
 limit 1;

-- name: publish_deleted_urls(name, version)$
-- URLs at which deleted versions, one or all, would be reached again.
select coalesce(jsonb_agg(distinct url), '[]')::text as urls
  from server_version v
 cross join lateral jsonb_array_elements(registry_remotes(v.document)) url
 where v.registry_name = :name::text
   and v.version = coalesce(:version::text, v.version)
   and v.status = 'deleted';

-- name: publish_server(name)$
-- The server of a name.
select id
  from server
 where registry_name = :name::text;

-- name: publish_adopt(name, base_url)!
-- Gives the server at a URL that came without a registry name this one.
update server s
   set registry_name = :name::text
 where s.registry_name is null
   and s.primary_url = :base_url::text
   and not exists (
         select from server o where o.registry_name = :name::text
       );

-- name: publish_put_server(name, base_url, version, profile)!
-- Puts a server in that is not there yet; a URL that is taken gets its name behind it.
insert into server (
  registry_name, primary_url, latest_version, last_indexed_at,
  name, title, host_type, description, homepage, author_name, license,
  readme_content, keywords, categories, stars, forks, open_issues, field_sources
)
select :name::text,
       case
         when exists (select from server s where s.primary_url = :base_url::text)
         then :base_url::text || '#' || :name::text
         else :base_url::text
       end,
       :version::text,
       now(),
       p.name, p.title, p.host_type, p.description, p.homepage, p.author_name, p.license,
       p.readme_content, p.keywords, p.categories,
       coalesce(p.stars, 0), coalesce(p.forks, 0), coalesce(p.open_issues, 0),
       p.field_sources
  from jsonb_populate_record(null::server, :profile::text::jsonb) p
    on conflict do nothing;

-- name: publish_put_version(server_id, name, version, document, at, precedence, content_hash)<!
-- Puts a version in; the first one of a server is its latest.
insert into server_version (
  server_id, is_latest, registry_name, version, document, published_at, updated_at,
  status_changed_at, source_updated_at, precedence, content_hash
)
select :server_id::bigint,
       not exists (select from server_version o where o.server_id = :server_id::bigint),
       :name::text,
       :version::text,
       :document::text::json,
       :at::text::timestamptz,
       :at::text::timestamptz,
       :at::text::timestamptz,
       :at::text::timestamptz,
       :precedence::text,
       :content_hash::bytea
returning server_id, version;

-- name: publish_get(name, version)^
-- The status of a version, which others cannot change until the transaction ends.
select status
  from server_version
 where registry_name = :name::text
   and version = :version::text
   for update;

-- name: publish_replace_version(name, version, document, content_hash)<!
-- Puts another document in the place of a version's.
update server_version
   set document = :document::text::json,
       content_hash = :content_hash::bytea,
       problems = '[]',
       updated_at = greatest(now(), updated_at),
       source_updated_at = now(),
       origin = 'api'
 where registry_name = :name::text
   and version = :version::text
returning server_id, version;

-- name: publish_put_status(name, version, status, message)<!
-- Changes the status of one version, or of all, where it or its message differs.
update server_version
   set status = :status::text,
       status_message = :message::text,
       status_changed_at = case
         when status = :status::text then status_changed_at
         else greatest(now(), published_at)
       end,
       updated_at = greatest(now(), updated_at),
       source_updated_at = now(),
       origin = 'api'
 where registry_name = :name::text
   and version = coalesce(:version::text, version)
   and (status, coalesce(status_message, ''))
         is distinct from (:status::text, coalesce(:message::text, ''))
returning server_id, version;

-- name: publish_items(name, versions)^
-- Some versions of a server, the newest first.
select string_agg(item, ',' order by published_at desc, precedence desc, id desc) as items,
       count(*) as number
  from server_version
 where registry_name = :name::text
   and version in (select jsonb_array_elements_text(:versions::text::jsonb));
