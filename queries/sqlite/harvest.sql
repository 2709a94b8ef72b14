-- The harvester: jobs that are leased, places to go on from, and what sources found.

-- name: harvest_queue(jobs, is_due)!
-- Puts jobs in; those that are there become due now when that is asked for.
insert into processing_log (url, source, target, registry_name, status)
select j.value ->> 'url',
       j.value ->> 'source',
       j.value ->> 'target',
       j.value ->> 'registry_name',
       'waiting'
  from json_each(:jobs) j
 where true
    on conflict (url) do update
   set source = excluded.source,
       target = excluded.target,
       registry_name = coalesce(excluded.registry_name, processing_log.registry_name),
       next_try_at = iif(
         :is_due, min(next_try_at, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')), next_try_at
       ),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where :is_due
    or processing_log.source is null
    or processing_log.registry_name is null and excluded.registry_name is not null;

-- name: harvest_lease(sources, urls, worker, lease_s)<!
-- Takes the job that is due longest, of some sources and maybe of some URLs alone.
update processing_log as j
   set status = 'running',
       attempts = attempts + 1,
       last_attempt_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       leased_by = :worker,
       leased_until = strftime(
         '%Y-%m-%dT%H:%M:%f000Z', 'now', format('+%.3f seconds', :lease_s)
       ),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where id = (
         select id
           from processing_log
          where source is not null
            and source in (select value from json_each(:sources))
            and (:urls is null or url in (select value from json_each(:urls)))
            and next_try_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
            and (
                  leased_until is null
                  or leased_until <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
                )
          order by next_try_at, id
          limit 1
       )
returning id,
          url,
          source,
          target,
          registry_name,
          attempts,
          (select p.checkpoint from source p where p.name = url) as checkpoint;

-- name: harvest_renew(id, worker, lease_s)!
-- Keeps a job for longer; touches nothing when another worker has it by now.
update processing_log
   set leased_until = strftime(
         '%Y-%m-%dT%H:%M:%f000Z', 'now', format('+%.3f seconds', :lease_s)
       )
 where id = :id
   and leased_by = :worker;

-- name: harvest_finish(id, worker, status, message, wait_s)!
-- Gives a job back with what came of it, to be taken again after so many seconds.
update processing_log
   set status = :status,
       error_message = :message,
       attempts = iif(:status = 'done', 0, attempts),
       next_try_at = strftime(
         '%Y-%m-%dT%H:%M:%f000Z', 'now', format('+%.3f seconds', :wait_s)
       ),
       leased_by = null,
       leased_until = null,
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where id = :id
   and leased_by = :worker;

-- name: harvest_busy(sources, urls)$
-- Seconds until a due job that another worker has may be taken; null without one.
select (julianday(min(leased_until)) - julianday('now')) * 86400.0 as wait_s
  from processing_log
 where source in (select value from json_each(:sources))
   and (:urls is null or url in (select value from json_each(:urls)))
   and next_try_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
   and leased_until > strftime('%Y-%m-%dT%H:%M:%f000Z', 'now');

-- name: harvest_refresh(url, pause_s)!
-- Makes a job due that was not tried for so many seconds.
update processing_log
   set next_try_at = min(next_try_at, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where url = :url
   and (
         last_attempt_at is null
         or last_attempt_at < strftime(
           '%Y-%m-%dT%H:%M:%f000Z', 'now', format('-%.3f seconds', :pause_s)
         )
       );

-- name: harvest_job(url)^
-- One job as it stands.
select source,
       target,
       status,
       attempts,
       error_message,
       last_attempt_at,
       next_try_at
  from processing_log
 where url = :url;

-- name: harvest_targets(source)
-- The targets of a source that the log knows.
select target
  from processing_log
 where source = :source
 order by target;

-- name: harvest_published(after, wanted)
-- What the latest versions say of packages, remotes and repositories, by server id.
select v.server_id,
       v.registry_name,
       coalesce(v.document -> '$.packages', '[]') as packages,
       (select json_group_array(r.value ->> 'url')
          from json_each(v.document, '$.remotes') r
         where r.type = 'object') as remotes,
       v.document ->> '$.repository.url' as repository
  from server_version v
 where v.is_latest
   and v.status <> 'deleted'
   and v.server_id > :after
 order by v.server_id
 limit :wanted;

-- name: harvest_place(url)$
-- Where a source goes on.
select checkpoint
  from source
 where name = :url;

-- name: harvest_put_place(id, worker, url, checkpoint)!
-- Notes where a source goes on, for the worker that has the job.
insert into source (name, checkpoint)
select :url,
       :checkpoint
  from processing_log
 where id = :id
   and leased_by = :worker
    on conflict (name) do update
   set checkpoint = excluded.checkpoint,
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now');

-- name: harvest_bury(origin, gone)<!
-- Marks versions as deleted that their registry has no more.
update server_version as v
   set status = 'deleted',
       status_message = 'its registry does not list it any more',
       status_changed_at = max(
         strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), published_at
       ),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where (v.registry_name, v.version) in (
         select g.value ->> 'registry_name', g.value ->> 'version'
           from json_each(:gone) g
       )
   and v.origin = :origin
   and v.status <> 'deleted'
returning server_id, registry_name, version;

-- name: harvest_kept(origin)
-- The versions that came from a registry and are not deleted.
select registry_name,
       version
  from server_version
 where origin = :origin
   and origin not in ('load', 'api')
   and status <> 'deleted';

-- name: harvest_find(registry_name, primary_url)^
-- The server of a registry name, or else the nameless one of a URL, held for a change.
select s.id,
       s.registry_name,
       s.field_sources,
       f.doc as fields
  from server s
  join server_fields f
    on f.id = s.id
 where s.registry_name = :registry_name
    or (
         s.primary_url = :primary_url
         and (:registry_name is null or s.registry_name is null)
       )
 order by s.registry_name is :registry_name desc
 limit 1;

-- name: harvest_touch(id, is_changed)!
-- Notes that a server was seen, once a day, and that something of it changed.
update server
   set last_indexed_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
       updated_at = iif(
         :is_changed, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), updated_at
       )
 where id = :id
   and (
         :is_changed
         or last_indexed_at is null
         or last_indexed_at < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 day')
       );

-- name: harvest_tools(server_id)
-- The tools of a server.
select id,
       name,
       description,
       input_schema
  from tool
 where server_id = :server_id;

-- name: harvest_drop_tools(ids)!
-- Takes tools out.
delete from tool
 where id in (select value from json_each(:ids));

-- name: harvest_put_tools(server_id, items)!
-- Puts tools in.
insert into tool (server_id, name, description, input_schema)
select :server_id,
       i.value ->> 'name',
       i.value ->> 'description',
       i.value ->> 'input_schema'
  from json_each(:items) i;

-- name: harvest_resources(server_id)
-- The resource templates of a server.
select id,
       uri_template,
       name,
       mime_type,
       description
  from resource_template
 where server_id = :server_id;

-- name: harvest_drop_resources(ids)!
-- Takes resource templates out.
delete from resource_template
 where id in (select value from json_each(:ids));

-- name: harvest_put_resources(server_id, items)!
-- Puts resource templates in.
insert into resource_template (server_id, uri_template, name, mime_type, description)
select :server_id,
       i.value ->> 'uri_template',
       i.value ->> 'name',
       i.value ->> 'mime_type',
       i.value ->> 'description'
  from json_each(:items) i;

-- name: harvest_prompts(server_id)
-- The prompts of a server.
select id,
       name,
       description,
       arguments
  from prompt
 where server_id = :server_id;

-- name: harvest_drop_prompts(ids)!
-- Takes prompts out.
delete from prompt
 where id in (select value from json_each(:ids));

-- name: harvest_put_prompts(server_id, items)!
-- Puts prompts in.
insert into prompt (server_id, name, description, arguments)
select :server_id,
       i.value ->> 'name',
       i.value ->> 'description',
       i.value ->> 'arguments'
  from json_each(:items) i;

-- name: harvest_dependencies(server_id)
-- The dependencies of a server.
select id,
       library_name,
       version_constraint,
       ecosystem,
       type
  from dependency
 where server_id = :server_id;

-- name: harvest_drop_dependencies(ids)!
-- Takes dependencies out.
delete from dependency
 where id in (select value from json_each(:ids));

-- name: harvest_put_dependencies(server_id, items)!
-- Puts dependencies in.
insert into dependency (server_id, library_name, version_constraint, ecosystem, type)
select :server_id,
       i.value ->> 'library_name',
       i.value ->> 'version_constraint',
       i.value ->> 'ecosystem',
       i.value ->> 'type'
  from json_each(:items) i;

-- name: harvest_releases(server_id)
-- The releases of a server.
select id,
       version,
       changelog,
       published_at
  from release
 where server_id = :server_id;

-- name: harvest_drop_releases(ids)!
-- Takes releases out.
delete from release
 where id in (select value from json_each(:ids));

-- name: harvest_put_releases(server_id, items)!
-- Puts releases in.
insert into release (server_id, version, changelog, published_at)
select :server_id,
       i.value ->> 'version',
       i.value ->> 'changelog',
       i.value ->> 'published_at'
  from json_each(:items) i;

-- name: harvest_contributors(server_id)
-- The contributors of a server.
select id,
       username,
       platform,
       commits
  from contributor
 where server_id = :server_id;

-- name: harvest_drop_contributors(ids)!
-- Takes contributors out.
delete from contributor
 where id in (select value from json_each(:ids));

-- name: harvest_put_contributors(server_id, items)!
-- Puts contributors in.
insert into contributor (server_id, username, platform, commits)
select :server_id,
       i.value ->> 'username',
       i.value ->> 'platform',
       i.value ->> 'commits'
  from json_each(:items) i;

-- name: harvest_risks(server_id)
-- The risks of a server.
select id,
       source,
       kind,
       file,
       line,
       detail
  from risk
 where server_id = :server_id;

-- name: harvest_drop_risks(ids)!
-- Takes risks out.
delete from risk
 where id in (select value from json_each(:ids));

-- name: harvest_put_risks(server_id, items)!
-- Puts risks in.
insert into risk (server_id, source, kind, file, line, detail)
select :server_id,
       i.value ->> 'source',
       i.value ->> 'kind',
       i.value ->> 'file',
       i.value ->> 'line',
       i.value ->> 'detail'
  from json_each(:items) i;
