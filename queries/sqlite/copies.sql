-- The whole catalog, table by table, for a copy in another database. A row is a JSON object
-- in the same form in both dialects, so that equal rows have equal texts; bytes are
-- hexadecimal, and JSON is a text in it, to stay as it is.

-- name: copy_is_due()$
-- Whether there is nothing in this catalog yet.
select not exists (select 1 from server)
       and not exists (select 1 from api_key)
       and not exists (select 1 from source)
       and not exists (select 1 from processing_log) as is_due;

-- name: copy_count()^
-- How many rows each table has.
select (select count(*) from server) as server,
       (select count(*) from server_version) as server_version,
       (select count(*) from tool) as tool,
       (select count(*) from tool_embedding) as tool_embedding,
       (select count(*) from resource_template) as resource_template,
       (select count(*) from prompt) as prompt,
       (select count(*) from dependency) as dependency,
       (select count(*) from release) as release,
       (select count(*) from contributor) as contributor,
       (select count(*) from risk) as risk,
       (select count(*) from api_key) as api_key,
       (select count(*) from source) as source,
       (select count(*) from processing_log) as processing_log;

-- name: copy_left()$
-- None: tables of an earlier catalog lie beside one in PostgreSQL alone.
select 0 as tables;

-- name: copy_serial(value)!
-- Lets the serial go on from that of another catalog, so that its followers miss nothing.
update serial
   set value = :value
 where value < :value;

-- name: copy_continue_ids()
-- Nothing to do: ids go on after the highest one by themselves.
select 'continued' as next_id;

-- name: copy_server()
-- Every server in the order of the ids.
select json_object(
         'id', id, 'uuid', uuid, 'registry_name', registry_name, 'name', name,
         'title', title, 'primary_url', primary_url, 'host_type', host_type,
         'description', description, 'author_name', author_name, 'homepage', homepage,
         'license', license, 'readme_content', readme_content, 'keywords', keywords,
         'categories', categories, 'stars', stars, 'downloads', downloads,
         'forks', forks, 'open_issues', open_issues, 'risk_level', risk_level,
         'verified_source', json(iif(verified_source, 'true', 'false')),
         'health_score', health_score, 'latest_version', latest_version,
         'last_indexed_at', last_indexed_at, 'created_at', created_at,
         'updated_at', updated_at,
         'field_sources', (
           select json_group_object(key, value) || ''
             from (select key, value from json_each(field_sources) order by key)
         )
       ) as row
  from server
 order by id;

-- name: copy_put_server(rows)!
-- Puts in rows with the ids and times that they have.
insert into server (
  id, uuid, registry_name, name, title, primary_url, host_type, description, author_name,
  homepage, license, readme_content, keywords, categories, stars, downloads, forks,
  open_issues, risk_level, verified_source, health_score, latest_version,
  last_indexed_at, created_at, updated_at, field_sources
)
select
  value ->> 'id', value ->> 'uuid', value ->> 'registry_name', value ->> 'name',
  value ->> 'title', value ->> 'primary_url', value ->> 'host_type',
  value ->> 'description', value ->> 'author_name', value ->> 'homepage',
  value ->> 'license', value ->> 'readme_content', value ->> 'keywords',
  value ->> 'categories', value ->> 'stars', value ->> 'downloads', value ->> 'forks',
  value ->> 'open_issues', value ->> 'risk_level', value ->> 'verified_source',
  value ->> 'health_score', value ->> 'latest_version', value ->> 'last_indexed_at',
  value ->> 'created_at', value ->> 'updated_at', value ->> 'field_sources'
  from json_each(:rows);

-- name: copy_server_version()
-- Every published version in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'registry_name', registry_name,
         'version', version, 'document', document, 'status', status,
         'status_message', status_message, 'published_at', published_at,
         'updated_at', updated_at, 'source_updated_at', source_updated_at,
         'status_changed_at', status_changed_at,
         'is_latest', json(iif(is_latest, 'true', 'false')), 'precedence', precedence,
         'content_hash', lower(hex(content_hash)), 'problems', problems,
         'origin', origin
       ) as row
  from server_version
 order by id;

-- name: copy_put_server_version(rows)!
-- Puts in rows with the ids and times that they have.
insert into server_version (
  id, server_id, registry_name, version, document, status, status_message, published_at,
  updated_at, source_updated_at, status_changed_at, is_latest, precedence, content_hash,
  problems, origin
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'registry_name', value ->> 'version',
  value ->> 'document', value ->> 'status', value ->> 'status_message',
  value ->> 'published_at', value ->> 'updated_at', value ->> 'source_updated_at',
  value ->> 'status_changed_at', value ->> 'is_latest', value ->> 'precedence',
  hex_blob(value ->> 'content_hash'), value ->> 'problems',
  value ->> 'origin'
  from json_each(:rows);

-- name: copy_tool()
-- Every tool in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'name', name, 'description', description,
         'input_schema', input_schema, 'created_at', created_at, 'updated_at', updated_at
       ) as row
  from tool
 order by id;

-- name: copy_put_tool(rows)!
-- Puts in rows with the ids and times that they have.
insert into tool (
  id, server_id, name, description, input_schema, created_at, updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'name', value ->> 'description',
  value ->> 'input_schema', value ->> 'created_at', value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_tool_embedding()
-- Every embedding in the order of the ids.
select json_object(
         'id', id, 'tool_id', tool_id, 'model_name', model_name,
         'embedding', json(float_text(embedding))
       ) as row
  from tool_embedding
 order by id;

-- name: copy_put_tool_embedding(rows)!
-- Puts in rows with the ids and times that they have.
insert into tool_embedding (
  id, tool_id, model_name, embedding
)
select
  value ->> 'id', value ->> 'tool_id', value ->> 'model_name',
  float_blob(value -> 'embedding')
  from json_each(:rows);

-- name: copy_resource_template()
-- Every resource template in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'uri_template', uri_template, 'name', name,
         'mime_type', mime_type, 'description', description, 'created_at', created_at,
         'updated_at', updated_at
       ) as row
  from resource_template
 order by id;

-- name: copy_put_resource_template(rows)!
-- Puts in rows with the ids and times that they have.
insert into resource_template (
  id, server_id, uri_template, name, mime_type, description, created_at, updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'uri_template', value ->> 'name',
  value ->> 'mime_type', value ->> 'description', value ->> 'created_at',
  value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_prompt()
-- Every prompt in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'name', name, 'description', description,
         'arguments', arguments, 'created_at', created_at, 'updated_at', updated_at
       ) as row
  from prompt
 order by id;

-- name: copy_put_prompt(rows)!
-- Puts in rows with the ids and times that they have.
insert into prompt (
  id, server_id, name, description, arguments, created_at, updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'name', value ->> 'description',
  value ->> 'arguments', value ->> 'created_at', value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_dependency()
-- Every dependency in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'library_name', library_name,
         'version_constraint', version_constraint, 'ecosystem', ecosystem, 'type', type,
         'created_at', created_at, 'updated_at', updated_at
       ) as row
  from dependency
 order by id;

-- name: copy_put_dependency(rows)!
-- Puts in rows with the ids and times that they have.
insert into dependency (
  id, server_id, library_name, version_constraint, ecosystem, type, created_at,
  updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'library_name',
  value ->> 'version_constraint', value ->> 'ecosystem', value ->> 'type',
  value ->> 'created_at', value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_release()
-- Every release in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'version', version, 'changelog', changelog,
         'published_at', published_at, 'created_at', created_at, 'updated_at', updated_at
       ) as row
  from release
 order by id;

-- name: copy_put_release(rows)!
-- Puts in rows with the ids and times that they have.
insert into release (
  id, server_id, version, changelog, published_at, created_at, updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'version', value ->> 'changelog',
  value ->> 'published_at', value ->> 'created_at', value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_contributor()
-- Every contributor in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'username', username, 'platform', platform,
         'commits', commits, 'created_at', created_at, 'updated_at', updated_at
       ) as row
  from contributor
 order by id;

-- name: copy_put_contributor(rows)!
-- Puts in rows with the ids and times that they have.
insert into contributor (
  id, server_id, username, platform, commits, created_at, updated_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'username', value ->> 'platform',
  value ->> 'commits', value ->> 'created_at', value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_risk()
-- Every fact about a risk in the order of the ids.
select json_object(
         'id', id, 'server_id', server_id, 'source', source, 'kind', kind,
         'file', file, 'line', line, 'detail', detail, 'created_at', created_at
       ) as row
  from risk
 order by id;

-- name: copy_put_risk(rows)!
-- Puts in rows with the ids and times that they have.
insert into risk (
  id, server_id, source, kind, file, line, detail, created_at
)
select
  value ->> 'id', value ->> 'server_id', value ->> 'source', value ->> 'kind',
  value ->> 'file', value ->> 'line', value ->> 'detail', value ->> 'created_at'
  from json_each(:rows);

-- name: copy_api_key()
-- Every key, which is a hash, in the order of the ids.
select json_object(
         'id', id, 'prefix', prefix, 'secret_hash', lower(hex(secret_hash)),
         'role', role, 'name', name, 'created_at', created_at, 'expires_at', expires_at,
         'last_used_at', last_used_at, 'revoked_at', revoked_at
       ) as row
  from api_key
 order by id;

-- name: copy_put_api_key(rows)!
-- Puts in rows with the ids and times that they have.
insert into api_key (
  id, prefix, secret_hash, role, name, created_at, expires_at, last_used_at, revoked_at
)
select
  value ->> 'id', value ->> 'prefix', hex_blob(value ->> 'secret_hash'),
  value ->> 'role', value ->> 'name', value ->> 'created_at', value ->> 'expires_at',
  value ->> 'last_used_at', value ->> 'revoked_at'
  from json_each(:rows);

-- name: copy_source()
-- Every source in the order of the ids.
select json_object(
         'id', id, 'name', name, 'checkpoint', checkpoint, 'created_at', created_at,
         'updated_at', updated_at
       ) as row
  from source
 order by id;

-- name: copy_put_source(rows)!
-- Puts in rows with the ids and times that they have.
insert into source (
  id, name, checkpoint, created_at, updated_at
)
select
  value ->> 'id', value ->> 'name', value ->> 'checkpoint', value ->> 'created_at',
  value ->> 'updated_at'
  from json_each(:rows);

-- name: copy_processing_log()
-- Every line of the log in the order of the ids.
select json_object(
         'id', id, 'url', url, 'status', status, 'attempts', attempts,
         'last_attempt_at', last_attempt_at, 'error_message', error_message,
         'created_at', created_at, 'updated_at', updated_at, 'source', source,
         'target', target, 'registry_name', registry_name, 'next_try_at', next_try_at
       ) as row
  from processing_log
 order by id;

-- name: copy_put_processing_log(rows)!
-- Puts in rows with the ids and times that they have.
insert into processing_log (
  id, url, status, attempts, last_attempt_at, error_message, created_at, updated_at,
  source, target, registry_name, next_try_at
)
select
  value ->> 'id', value ->> 'url', value ->> 'status', value ->> 'attempts',
  value ->> 'last_attempt_at', value ->> 'error_message', value ->> 'created_at',
  value ->> 'updated_at', value ->> 'source', value ->> 'target',
  value ->> 'registry_name', value ->> 'next_try_at'
  from json_each(:rows);
