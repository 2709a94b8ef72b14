-- Publishing: what is checked and written by the one transaction that writes.

-- name: publish_hold(name)^
-- Nobody else writes now; the time of what is written under a name.
select strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') as at,
       :name as name;

-- name: publish_hold_remotes()^
-- Nothing to wait for: nobody else writes now.
select '' as answer;

-- name: publish_count(name, version)^
-- How many versions a server has, and whether this one is among them.
select count(*) as number,
       coalesce(max(version = :version), 0) as is_taken
  from server_version
 where registry_name = :name;

-- name: publish_rival(name, urls)^
-- A server of another name that is reached at one of these URLs.
select v.registry_name,
       r.url
  from server_version_remote r
  join server_version v on v.id = r.version_id
 where r.url in (select value from json_each(:urls))
   and v.registry_name <> :name
   and v.status <> 'deleted'
 limit 1;

-- name: publish_deleted_urls(name, version)$
-- URLs at which deleted versions, one or all, would be reached again.
select json_group_array(distinct r.url) as urls
  from server_version v
  join server_version_remote r on r.version_id = v.id
 where v.registry_name = :name
   and v.version = coalesce(:version, v.version)
   and v.status = 'deleted';

-- name: publish_server(name)$
-- The server of a name.
select id
  from server
 where registry_name = :name;

-- name: publish_adopt(name, base_url)!
-- Gives the server at a URL that came without a registry name this one.
update server
   set registry_name = :name
 where registry_name is null
   and primary_url = :base_url
   and not exists (
         select 1 from server o where o.registry_name = :name
       );

-- name: publish_put_server(name, base_url, version, profile)!
-- Puts a server in that is not there yet; a URL that is taken gets its name behind it.
insert into server (
  registry_name, primary_url, latest_version, last_indexed_at,
  name, title, host_type, description, homepage, author_name, license,
  readme_content, keywords, categories, stars, forks, open_issues, field_sources
)
select :name,
       iif(
         exists (select 1 from server s where s.primary_url = :base_url),
         :base_url || '#' || :name,
         :base_url
       ),
       :version,
       strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       p ->> 'name', p ->> 'title', p ->> 'host_type', p ->> 'description',
       p ->> 'homepage', p ->> 'author_name', p ->> 'license', p ->> 'readme_content',
       p ->> 'keywords', p ->> 'categories', coalesce(p ->> 'stars', 0),
       coalesce(p ->> 'forks', 0), coalesce(p ->> 'open_issues', 0), p -> 'field_sources'
  from (select :profile as p)
 where true
    on conflict do nothing;

-- name: publish_put_version(server_id, name, version, document, at, precedence, content_hash)<!
-- Puts a version in; the first one of a server is its latest.
insert into server_version (
  server_id, is_latest, registry_name, version, document, published_at, updated_at,
  status_changed_at, source_updated_at, precedence, content_hash
)
select :server_id,
       not exists (select 1 from server_version o where o.server_id = :server_id),
       :name,
       :version,
       :document,
       :at,
       :at,
       :at,
       :at,
       :precedence,
       :content_hash
returning server_id, version;

-- name: publish_get(name, version)^
-- The status of a version.
select status
  from server_version
 where registry_name = :name
   and version = :version;

-- name: publish_replace_version(name, version, document, content_hash)<!
-- Puts another document in the place of a version's.
update server_version
   set document = :document,
       content_hash = :content_hash,
       problems = '[]',
       updated_at = max(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), updated_at),
       source_updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       origin = 'api'
 where registry_name = :name
   and version = :version
returning server_id, version;

-- name: publish_put_status(name, version, status, message)<!
-- Changes the status of one version, or of all, where it or its message differs.
update server_version
   set status = :status,
       status_message = :message,
       status_changed_at = iif(
         status = :status,
         status_changed_at,
         max(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), published_at)
       ),
       updated_at = max(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), updated_at),
       source_updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       origin = 'api'
 where registry_name = :name
   and version = coalesce(:version, version)
   and (status, coalesce(status_message, '')) is not (:status, coalesce(:message, ''))
returning server_id, version;

-- name: publish_items(name, versions)^
-- Some versions of a server, the newest first.
select group_concat(item, ',') as items,
       count(*) as number
  from (
    select item
      from server_version
     where registry_name = :name
       and version in (select value from json_each(:versions))
     order by published_at desc, precedence desc, id desc
  );
