-- The whole catalog, table by table, for a copy in another database. A row is a JSON object
-- in the same form in both dialects, so that equal rows have equal texts; bytes are
-- hexadecimal, and JSON is a text in it, to stay as it is.

-- name: copy_is_due()$
-- Whether there is nothing in this catalog yet.
select not exists (select from server)
       and not exists (select from api_key)
       and not exists (select from source)
       and not exists (select from processing_log) as is_due;

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
-- How many tables of an earlier catalog lie beside this one, in the schema `legacy`.
select count(*) as tables
  from pg_class
 where relnamespace = to_regnamespace('legacy')
   and relkind = 'r';

-- name: copy_serial(value)!
-- Lets the serial go on from that of another catalog, so that its followers miss nothing.
update serial
   set value = :value::bigint
 where value < :value::bigint;

-- name: copy_continue_ids()
-- Lets new rows get ids after those that came with theirs.
select setval(pg_get_serial_sequence(name, 'id'), last_id + 1, false) as next_id
  from (
    select 'server' as name, max(id) as last_id from server
     union all
    select 'server_version', max(id) from server_version
     union all
    select 'tool', max(id) from tool
     union all
    select 'tool_embedding', max(id) from tool_embedding
     union all
    select 'resource_template', max(id) from resource_template
     union all
    select 'prompt', max(id) from prompt
     union all
    select 'dependency', max(id) from dependency
     union all
    select 'release', max(id) from release
     union all
    select 'contributor', max(id) from contributor
     union all
    select 'risk', max(id) from risk
     union all
    select 'api_key', max(id) from api_key
     union all
    select 'source', max(id) from source
     union all
    select 'processing_log', max(id) from processing_log
  ) filled
 where last_id is not null;

-- name: copy_server()
-- Every server in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, uuid, registry_name, name, title, primary_url, host_type, description,
      author_name, homepage, license, readme_content, keywords::text as keywords,
      categories::text as categories, stars, downloads, forks, open_issues, risk_level,
      verified_source, health_score, latest_version,
      utc_text(last_indexed_at) as last_indexed_at, utc_text(created_at) as created_at,
      utc_text(updated_at) as updated_at, json_pairs(field_sources) as field_sources
      from server
  ) r
 order by r.id;

-- name: copy_put_server(rows)!
-- Puts in rows with the ids and times that they have.
insert into server (
  id, uuid, registry_name, name, title, primary_url, host_type, description, author_name,
  homepage, license, readme_content, keywords, categories, stars, downloads, forks,
  open_issues, risk_level, verified_source, health_score, latest_version,
  last_indexed_at, created_at, updated_at, field_sources
)
select
  id, uuid, registry_name, name, title, primary_url, host_type, description, author_name,
  homepage, license, readme_content, keywords::jsonb, categories::jsonb, stars,
  downloads, forks, open_issues, risk_level, verified_source, health_score,
  latest_version, last_indexed_at, created_at, updated_at, field_sources::jsonb
  from json_to_recordset(:rows::text::json) as r(
    id bigint, uuid uuid, registry_name text, name text, title text, primary_url text,
    host_type text, description text, author_name text, homepage text, license text,
    readme_content text, keywords text, categories text, stars bigint, downloads bigint,
    forks bigint, open_issues bigint, risk_level text, verified_source boolean,
    health_score integer, latest_version text, last_indexed_at timestamptz,
    created_at timestamptz, updated_at timestamptz, field_sources text
  );

-- name: copy_server_version()
-- Every published version in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, registry_name, version, document::text as document, status,
      status_message, utc_text(published_at) as published_at,
      utc_text(updated_at) as updated_at,
      utc_text(source_updated_at) as source_updated_at,
      utc_text(status_changed_at) as status_changed_at, is_latest, precedence,
      encode(content_hash, 'hex') as content_hash, problems::text as problems,
      origin
      from server_version
  ) r
 order by r.id;

-- name: copy_put_server_version(rows)!
-- Puts in rows with the ids and times that they have.
insert into server_version (
  id, server_id, registry_name, version, document, status, status_message, published_at,
  updated_at, source_updated_at, status_changed_at, is_latest, precedence, content_hash,
  problems, origin
)
select
  id, server_id, registry_name, version, document::json, status, status_message,
  published_at, updated_at, source_updated_at, status_changed_at, is_latest, precedence,
  decode(content_hash, 'hex'), problems::json, origin
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, registry_name text, version text, document text,
    status text, status_message text, published_at timestamptz, updated_at timestamptz,
    source_updated_at timestamptz, status_changed_at timestamptz, is_latest boolean,
    precedence text, content_hash text, problems text, origin text
  );

-- name: copy_tool()
-- Every tool in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, name, description, input_schema::text as input_schema,
      utc_text(created_at) as created_at, utc_text(updated_at) as updated_at
      from tool
  ) r
 order by r.id;

-- name: copy_put_tool(rows)!
-- Puts in rows with the ids and times that they have.
insert into tool (
  id, server_id, name, description, input_schema, created_at, updated_at
)
select
  id, server_id, name, description, input_schema::json, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, name text, description text, input_schema text,
    created_at timestamptz, updated_at timestamptz
  );

-- name: copy_tool_embedding()
-- Every embedding in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, tool_id, model_name, embedding
      from tool_embedding
  ) r
 order by r.id;

-- name: copy_put_tool_embedding(rows)!
-- Puts in rows with the ids and times that they have.
insert into tool_embedding (
  id, tool_id, model_name, embedding
)
select
  id, tool_id, model_name, embedding
  from json_to_recordset(:rows::text::json) as r(
    id bigint, tool_id bigint, model_name text, embedding real[]
  );

-- name: copy_resource_template()
-- Every resource template in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, uri_template, name, mime_type, description,
      utc_text(created_at) as created_at, utc_text(updated_at) as updated_at
      from resource_template
  ) r
 order by r.id;

-- name: copy_put_resource_template(rows)!
-- Puts in rows with the ids and times that they have.
insert into resource_template (
  id, server_id, uri_template, name, mime_type, description, created_at, updated_at
)
select
  id, server_id, uri_template, name, mime_type, description, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, uri_template text, name text, mime_type text,
    description text, created_at timestamptz, updated_at timestamptz
  );

-- name: copy_prompt()
-- Every prompt in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, name, description, arguments::text as arguments,
      utc_text(created_at) as created_at, utc_text(updated_at) as updated_at
      from prompt
  ) r
 order by r.id;

-- name: copy_put_prompt(rows)!
-- Puts in rows with the ids and times that they have.
insert into prompt (
  id, server_id, name, description, arguments, created_at, updated_at
)
select
  id, server_id, name, description, arguments::json, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, name text, description text, arguments text,
    created_at timestamptz, updated_at timestamptz
  );

-- name: copy_dependency()
-- Every dependency in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, library_name, version_constraint, ecosystem, type,
      utc_text(created_at) as created_at, utc_text(updated_at) as updated_at
      from dependency
  ) r
 order by r.id;

-- name: copy_put_dependency(rows)!
-- Puts in rows with the ids and times that they have.
insert into dependency (
  id, server_id, library_name, version_constraint, ecosystem, type, created_at,
  updated_at
)
select
  id, server_id, library_name, version_constraint, ecosystem, type, created_at,
  updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, library_name text, version_constraint text,
    ecosystem text, type text, created_at timestamptz, updated_at timestamptz
  );

-- name: copy_release()
-- Every release in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, version, changelog, utc_text(published_at) as published_at,
      utc_text(created_at) as created_at, utc_text(updated_at) as updated_at
      from release
  ) r
 order by r.id;

-- name: copy_put_release(rows)!
-- Puts in rows with the ids and times that they have.
insert into release (
  id, server_id, version, changelog, published_at, created_at, updated_at
)
select
  id, server_id, version, changelog, published_at, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, version text, changelog text, published_at timestamptz,
    created_at timestamptz, updated_at timestamptz
  );

-- name: copy_contributor()
-- Every contributor in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, username, platform, commits, utc_text(created_at) as created_at,
      utc_text(updated_at) as updated_at
      from contributor
  ) r
 order by r.id;

-- name: copy_put_contributor(rows)!
-- Puts in rows with the ids and times that they have.
insert into contributor (
  id, server_id, username, platform, commits, created_at, updated_at
)
select
  id, server_id, username, platform, commits, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, username text, platform text, commits bigint,
    created_at timestamptz, updated_at timestamptz
  );

-- name: copy_risk()
-- Every fact about a risk in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, server_id, source, kind, file, line, detail, utc_text(created_at) as created_at
      from risk
  ) r
 order by r.id;

-- name: copy_put_risk(rows)!
-- Puts in rows with the ids and times that they have.
insert into risk (
  id, server_id, source, kind, file, line, detail, created_at
)
select
  id, server_id, source, kind, file, line, detail, created_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, server_id bigint, source text, kind text, file text, line bigint,
    detail text, created_at timestamptz
  );

-- name: copy_api_key()
-- Every key, which is a hash, in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, prefix, encode(secret_hash, 'hex') as secret_hash, role, name,
      utc_text(created_at) as created_at, utc_text(expires_at) as expires_at,
      utc_text(last_used_at) as last_used_at, utc_text(revoked_at) as revoked_at
      from api_key
  ) r
 order by r.id;

-- name: copy_put_api_key(rows)!
-- Puts in rows with the ids and times that they have.
insert into api_key (
  id, prefix, secret_hash, role, name, created_at, expires_at, last_used_at, revoked_at
)
select
  id, prefix, decode(secret_hash, 'hex'), role, name, created_at, expires_at,
  last_used_at, revoked_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, prefix text, secret_hash text, role text, name text,
    created_at timestamptz, expires_at timestamptz, last_used_at timestamptz,
    revoked_at timestamptz
  );

-- name: copy_source()
-- Every source in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, name, checkpoint::text as checkpoint, utc_text(created_at) as created_at,
      utc_text(updated_at) as updated_at
      from source
  ) r
 order by r.id;

-- name: copy_put_source(rows)!
-- Puts in rows with the ids and times that they have.
insert into source (
  id, name, checkpoint, created_at, updated_at
)
select
  id, name, checkpoint::json, created_at, updated_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, name text, checkpoint text, created_at timestamptz, updated_at timestamptz
  );

-- name: copy_processing_log()
-- Every line of the log in the order of the ids.
select row_to_json(r)::text as row
  from (
    select
      id, url, status, attempts, utc_text(last_attempt_at) as last_attempt_at,
      error_message, utc_text(created_at) as created_at,
      utc_text(updated_at) as updated_at, source, target, registry_name,
      utc_text(next_try_at) as next_try_at
      from processing_log
  ) r
 order by r.id;

-- name: copy_put_processing_log(rows)!
-- Puts in rows with the ids and times that they have.
insert into processing_log (
  id, url, status, attempts, last_attempt_at, error_message, created_at, updated_at,
  source, target, registry_name, next_try_at
)
select
  id, url, status, attempts, last_attempt_at, error_message, created_at, updated_at,
  source, target, registry_name, next_try_at
  from json_to_recordset(:rows::text::json) as r(
    id bigint, url text, status text, attempts integer, last_attempt_at timestamptz,
    error_message text, created_at timestamptz, updated_at timestamptz, source text,
    target text, registry_name text, next_try_at timestamptz
  );
