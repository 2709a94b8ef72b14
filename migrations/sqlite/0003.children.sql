-- What belongs to a server, with one view each that writes the public JSON.

create table server_version (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  registry_name text not null,
  version text not null check (length(cast(version as blob)) between 1 and 1024),
  document text not null check (json_valid(document)),
  status text not null default 'active' check (status in ('active', 'deprecated', 'deleted')),
  status_message text,
  published_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  status_changed_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  is_latest integer not null default 0 check (is_latest in (0, 1)),
  precedence text not null,
  content_hash blob not null,
  problems text not null default '[]' check (json_valid(problems)),
  unique (registry_name, version)
) strict;

create unique index server_version_latest on server_version (server_id) where is_latest;
create index server_version_by_server on server_version (server_id, published_at, id);
create index server_version_by_updated_at on server_version (updated_at, id);

create view server_version_item as
select v.id, v.server_id, v.published_at,
       '{"id":' || v.id
         || ',"server_id":' || v.server_id
         || ',"name":' || json_quote(v.registry_name)
         || ',"version":' || json_quote(v.version)
         || ',"status":' || json_quote(v.status)
         || ',"status_message":' || json_quote(v.status_message)
         || ',"is_latest":' || iif(v.is_latest, 'true', 'false')
         || ',"problems":' || coalesce(v.problems, 'null')
         || ',"server_json":' || coalesce(v.document, 'null')
         || ',"published_at":' || json_quote(v.published_at)
         || ',"updated_at":' || json_quote(v.updated_at)
         || ',"status_changed_at":' || json_quote(v.status_changed_at)
         || '}' as doc
  from server_version v;

create table tool (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  name text not null,
  description text,
  input_schema text check (input_schema is null or json_valid(input_schema)),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index tool_by_server on tool (server_id, id);
create index tool_by_name on tool (substr(name, 1, 200), id);

create view tool_item as
select t.id, t.server_id, t.name,
       '{"id":' || t.id
         || ',"server_id":' || t.server_id
         || ',"name":' || json_quote(t.name)
         || ',"description":' || json_quote(t.description)
         || ',"input_schema":' || coalesce(t.input_schema, 'null')
         || ',"created_at":' || json_quote(t.created_at)
         || ',"updated_at":' || json_quote(t.updated_at)
         || '}' as doc
  from tool t;

-- The numbers of an embedding are stored as 32-bit floats, low byte first.
create table tool_embedding (
  id integer primary key autoincrement,
  tool_id integer not null unique references tool on delete cascade,
  model_name text not null,
  embedding blob not null check (length(embedding) = 4 * 1536)
) strict;

create table resource_template (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  uri_template text not null,
  name text,
  mime_type text,
  description text,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index resource_template_by_server on resource_template (server_id, id);

create view resource_template_item as
select r.id, r.server_id,
       '{"id":' || r.id
         || ',"server_id":' || r.server_id
         || ',"uri_template":' || json_quote(r.uri_template)
         || ',"name":' || json_quote(r.name)
         || ',"mime_type":' || json_quote(r.mime_type)
         || ',"description":' || json_quote(r.description)
         || ',"created_at":' || json_quote(r.created_at)
         || ',"updated_at":' || json_quote(r.updated_at)
         || '}' as doc
  from resource_template r;

create table prompt (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  name text not null,
  description text,
  arguments text check (arguments is null or json_valid(arguments)),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index prompt_by_server on prompt (server_id, id);

create view prompt_item as
select p.id, p.server_id,
       '{"id":' || p.id
         || ',"server_id":' || p.server_id
         || ',"name":' || json_quote(p.name)
         || ',"description":' || json_quote(p.description)
         || ',"arguments":' || coalesce(p.arguments, 'null')
         || ',"created_at":' || json_quote(p.created_at)
         || ',"updated_at":' || json_quote(p.updated_at)
         || '}' as doc
  from prompt p;

create table dependency (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  library_name text not null,
  version_constraint text,
  ecosystem text not null,
  type text not null default 'runtime' check (type in ('runtime', 'dev', 'peer')),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index dependency_by_server on dependency (server_id, id);
create index dependency_by_library on dependency (substr(library_name, 1, 200));

create view dependency_item as
select d.id, d.server_id,
       '{"id":' || d.id
         || ',"server_id":' || d.server_id
         || ',"library_name":' || json_quote(d.library_name)
         || ',"version_constraint":' || json_quote(d.version_constraint)
         || ',"ecosystem":' || json_quote(d.ecosystem)
         || ',"type":' || json_quote(d.type)
         || ',"created_at":' || json_quote(d.created_at)
         || ',"updated_at":' || json_quote(d.updated_at)
         || '}' as doc
  from dependency d;

create table release (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  version text not null,
  changelog text,
  published_at text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index release_by_server on release (server_id, published_at, id);

create view release_item as
select r.id, r.server_id, r.published_at,
       '{"id":' || r.id
         || ',"server_id":' || r.server_id
         || ',"version":' || json_quote(r.version)
         || ',"changelog":' || json_quote(r.changelog)
         || ',"published_at":' || json_quote(r.published_at)
         || ',"created_at":' || json_quote(r.created_at)
         || ',"updated_at":' || json_quote(r.updated_at)
         || '}' as doc
  from release r;

create table contributor (
  id integer primary key autoincrement,
  server_id integer not null references server on delete cascade,
  username text not null,
  platform text not null,
  commits integer not null default 0,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index contributor_by_server on contributor (server_id, id);

create view contributor_item as
select c.id, c.server_id,
       '{"id":' || c.id
         || ',"server_id":' || c.server_id
         || ',"username":' || json_quote(c.username)
         || ',"platform":' || json_quote(c.platform)
         || ',"commits":' || c.commits
         || ',"created_at":' || json_quote(c.created_at)
         || ',"updated_at":' || json_quote(c.updated_at)
         || '}' as doc
  from contributor c;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '3ce6a3d520c5b5d64e33756fae24154b29c1245d6bf84d8fd16f2ca78d2fb8c3',
  '0003.children',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
