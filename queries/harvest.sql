-- The harvester: jobs that are leased, places to go on from, and what sources found.

-- name: harvest_queue(jobs, is_due)!
-- Puts jobs in; those that are there become due now when that is asked for.
insert into processing_log (url, source, target, registry_name, status)
select distinct on (j.url)
       j.url,
       j.source,
       j.target,
       j.registry_name,
       'waiting'
  from jsonb_to_recordset(:jobs::text::jsonb)
    as j(url text, source text, target text, registry_name text)
 order by j.url, j.registry_name
    on conflict (url) do update
   set source = excluded.source,
       target = excluded.target,
       registry_name = coalesce(excluded.registry_name, processing_log.registry_name),
       next_try_at = case
         when :is_due::boolean then least(processing_log.next_try_at, now())
         else processing_log.next_try_at
       end,
       updated_at = now()
 where :is_due::boolean
    or processing_log.source is null
    or processing_log.registry_name is null and excluded.registry_name is not null;

-- name: harvest_lease(sources, urls, worker, lease_s)<!
-- Takes the job that is due longest, of some sources and maybe of some URLs alone.
with due as (
  select id
    from processing_log
   where source is not null
     and source in (select jsonb_array_elements_text(:sources::text::jsonb))
     and (:urls::text is null
          or url in (select jsonb_array_elements_text(:urls::text::jsonb)))
     and next_try_at <= now()
     and (leased_until is null or leased_until <= now())
   order by next_try_at, id
   limit 1
     for update skip locked
)
update processing_log j
   set status = 'running',
       attempts = attempts + 1,
       last_attempt_at = now(),
       leased_by = :worker::text,
       leased_until = now() + make_interval(secs => :lease_s::float8),
       updated_at = now()
  from due
 where j.id = due.id
returning j.id,
          j.url,
          j.source,
          j.target,
          j.registry_name,
          j.attempts,
          (select p.checkpoint::text from source p where p.name = j.url) as checkpoint;

-- name: harvest_renew(id, worker, lease_s)!
-- Keeps a job for longer; touches nothing when another worker has it by now.
update processing_log
   set leased_until = now() + make_interval(secs => :lease_s::float8)
 where id = :id::bigint
   and leased_by = :worker::text;

-- name: harvest_finish(id, worker, status, message, wait_s)!
-- Gives a job back with what came of it, to be taken again after so many seconds.
update processing_log
   set status = :status::text,
       error_message = :message::text,
       attempts = case when :status::text = 'done' then 0 else attempts end,
       next_try_at = now() + make_interval(secs => :wait_s::float8),
       leased_by = null,
       leased_until = null,
       updated_at = now()
 where id = :id::bigint
   and leased_by = :worker::text;

-- name: harvest_busy(sources, urls)$
-- Seconds until a due job that another worker has may be taken; null without one.
select extract(epoch from min(leased_until) - now())::float8 as wait_s
  from processing_log
 where source in (select jsonb_array_elements_text(:sources::text::jsonb))
   and (:urls::text is null
        or url in (select jsonb_array_elements_text(:urls::text::jsonb)))
   and next_try_at <= now()
   and leased_until > now();

-- name: harvest_refresh(url, pause_s)!
-- Makes a job due that was not tried for so many seconds.
update processing_log
   set next_try_at = least(next_try_at, now()),
       updated_at = now()
 where url = :url::text
   and (
         last_attempt_at is null
         or last_attempt_at < now() - make_interval(secs => :pause_s::float8)
       );

-- name: harvest_job(url)^
-- One job as it stands.
select source,
       target,
       status,
       attempts,
       error_message,
       utc_text(last_attempt_at) as last_attempt_at,
       utc_text(next_try_at) as next_try_at
  from processing_log
 where url = :url::text;

-- name: harvest_targets(source)
-- The targets of a source that the log knows.
select target
  from processing_log
 where source = :source::text
 order by target;

-- name: harvest_published(after, wanted)
-- What the latest versions say of packages, remotes and repositories, by server id.
select v.server_id,
       v.registry_name,
       jsonb_path_query_array(v.document::jsonb, '$.packages[*]')::text as packages,
       jsonb_path_query_array(v.document::jsonb, '$.remotes[*].url')::text as remotes,
       v.document #>> '{repository,url}' as repository
  from server_version v
 where v.is_latest
   and v.status <> 'deleted'
   and v.server_id > :after::bigint
 order by v.server_id
 limit :wanted::bigint;

-- name: harvest_place(url)$
-- Where a source goes on.
select checkpoint::text as checkpoint
  from source
 where name = :url::text;

-- name: harvest_put_place(id, worker, url, checkpoint)!
-- Notes where a source goes on, for the worker that has the job.
insert into source (name, checkpoint)
select :url::text,
       :checkpoint::text::json
  from processing_log
 where id = :id::bigint
   and leased_by = :worker::text
    on conflict (name) do update
   set checkpoint = excluded.checkpoint,
       updated_at = now();

-- name: harvest_bury(origin, gone)<!
-- Marks versions as deleted that their registry has no more.
update server_version v
   set status = 'deleted',
       status_message = 'its registry does not list it any more',
       status_changed_at = greatest(now(), published_at),
       updated_at = now()
 where (v.registry_name, v.version) in (
         select g.registry_name, g.version
           from jsonb_to_recordset(:gone::text::jsonb)
             as g(registry_name text, version text)
       )
   and v.origin = :origin::text
   and v.status <> 'deleted'
returning v.server_id, v.registry_name, v.version;

-- name: harvest_kept(origin)
-- The versions that came from a registry and are not deleted.
select registry_name,
       version
  from server_version
 where origin = :origin::text
   and origin not in ('load', 'api')
   and status <> 'deleted';

-- name: harvest_find(registry_name, primary_url)^
-- The server of a registry name, or else the nameless one of a URL, held for a change.
select s.id,
       s.registry_name,
       s.field_sources::text as field_sources,
       (to_jsonb(s) - 'doc')::text as fields
  from server s
 where s.registry_name = :registry_name::text
    or (
         s.primary_url = :primary_url::text
         and (:registry_name::text is null or s.registry_name is null)
       )
 order by s.registry_name is not distinct from :registry_name::text desc
 limit 1
   for update of s;

-- name: harvest_touch(id, is_changed)!
-- Notes that a server was seen, once a day, and that something of it changed.
update server
   set last_indexed_at = now(),
       updated_at = case when :is_changed::boolean then now() else updated_at end
 where id = :id::bigint
   and (
         :is_changed::boolean
         or last_indexed_at is null
         or last_indexed_at < now() - interval '1 day'
       );

-- name: harvest_tools(server_id)
-- The tools of a server.
select id,
       name,
       description,
       input_schema::text as input_schema
  from tool
 where server_id = :server_id::bigint;

-- name: harvest_drop_tools(ids)!
-- Takes tools out.
delete from tool
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_tools(server_id, items)!
-- Puts tools in.
insert into tool (server_id, name, description, input_schema)
select :server_id::bigint,
       i.name,
       i.description,
       i.input_schema::json
  from jsonb_to_recordset(:items::text::jsonb)
    as i(name text, description text, input_schema text);

-- name: harvest_resources(server_id)
-- The resource templates of a server.
select id,
       uri_template,
       name,
       mime_type,
       description
  from resource_template
 where server_id = :server_id::bigint;

-- name: harvest_drop_resources(ids)!
-- Takes resource templates out.
delete from resource_template
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_resources(server_id, items)!
-- Puts resource templates in.
insert into resource_template (server_id, uri_template, name, mime_type, description)
select :server_id::bigint,
       i.uri_template,
       i.name,
       i.mime_type,
       i.description
  from jsonb_to_recordset(:items::text::jsonb)
    as i(uri_template text, name text, mime_type text, description text);

-- name: harvest_prompts(server_id)
-- The prompts of a server.
select id,
       name,
       description,
       arguments::text as arguments
  from prompt
 where server_id = :server_id::bigint;

-- name: harvest_drop_prompts(ids)!
-- Takes prompts out.
delete from prompt
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_prompts(server_id, items)!
-- Puts prompts in.
insert into prompt (server_id, name, description, arguments)
select :server_id::bigint,
       i.name,
       i.description,
       i.arguments::json
  from jsonb_to_recordset(:items::text::jsonb)
    as i(name text, description text, arguments text);

-- name: harvest_dependencies(server_id)
-- The dependencies of a server.
select id,
       library_name,
       version_constraint,
       ecosystem,
       type
  from dependency
 where server_id = :server_id::bigint;

-- name: harvest_drop_dependencies(ids)!
-- Takes dependencies out.
delete from dependency
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_dependencies(server_id, items)!
-- Puts dependencies in.
insert into dependency (server_id, library_name, version_constraint, ecosystem, type)
select :server_id::bigint,
       i.library_name,
       i.version_constraint,
       i.ecosystem,
       i.type
  from jsonb_to_recordset(:items::text::jsonb)
    as i(library_name text, version_constraint text, ecosystem text, type text);

-- name: harvest_releases(server_id)
-- The releases of a server.
select id,
       version,
       changelog,
       utc_text(published_at) as published_at
  from release
 where server_id = :server_id::bigint;

-- name: harvest_drop_releases(ids)!
-- Takes releases out.
delete from release
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_releases(server_id, items)!
-- Puts releases in.
insert into release (server_id, version, changelog, published_at)
select :server_id::bigint,
       i.version,
       i.changelog,
       i.published_at::timestamptz
  from jsonb_to_recordset(:items::text::jsonb)
    as i(version text, changelog text, published_at text);

-- name: harvest_contributors(server_id)
-- The contributors of a server.
select id,
       username,
       platform,
       commits
  from contributor
 where server_id = :server_id::bigint;

-- name: harvest_drop_contributors(ids)!
-- Takes contributors out.
delete from contributor
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_contributors(server_id, items)!
-- Puts contributors in.
insert into contributor (server_id, username, platform, commits)
select :server_id::bigint,
       i.username,
       i.platform,
       i.commits
  from jsonb_to_recordset(:items::text::jsonb)
    as i(username text, platform text, commits bigint);

-- name: harvest_risks(server_id)
-- The risks of a server.
select id,
       source,
       kind,
       file,
       line,
       detail
  from risk
 where server_id = :server_id::bigint;

-- name: harvest_drop_risks(ids)!
-- Takes risks out.
delete from risk
 where id in (
         select value::bigint
           from jsonb_array_elements_text(:ids::text::jsonb)
       );

-- name: harvest_put_risks(server_id, items)!
-- Puts risks in.
insert into risk (server_id, source, kind, file, line, detail)
select :server_id::bigint,
       i.source,
       i.kind,
       i.file,
       i.line,
       i.detail
  from jsonb_to_recordset(:items::text::jsonb)
    as i(source text, kind text, file text, line bigint, detail text);
