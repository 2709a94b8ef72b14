-- The serial of the catalog, and the feed of what changed.

-- A process of MCPS says in `is_held`, inside its transaction, that all it changes is one
-- set (`set_id`); nobody else ever sees that. Without it, as in a change by hand, nothing
-- tells where a transaction begins: each row then takes a serial of its own.
create table serial (
  is_only integer primary key default 1 check (is_only = 1),
  value integer not null default 0,
  is_held integer not null default 0 check (is_held in (0, 1)),
  set_id integer
) strict;

insert into serial default values;

-- What one transaction changed. One writes at a time, so serials become visible in their
-- order and without gaps.
create table change_set (
  id integer primary key autoincrement,
  serial integer unique,
  changed_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

-- A version that was put or is gone (`version`), or a server with all that belongs to it
-- (`server`): which of the two is seen when the feed is read.
create table change (
  id integer primary key autoincrement,
  set_id integer not null,
  kind text not null check (kind in ('server', 'version')),
  server_id integer not null,
  registry_name text,
  version text
) strict;

create index change_by_set on change (set_id, id);

create trigger change_set_numbered
  after insert on change_set
begin
  update change_set
     set serial = (select value + 1 from serial)
   where id = new.id;
  update serial
     set value = value + 1,
         set_id = iif(is_held, new.id, null);
end;

-- Puts a change into the set of this transaction, which is opened at its first change; the
-- same one again adds nothing, and without a kind there is only the set.
create view change_put as
select kind, server_id, registry_name, version from change;

create trigger change_put
  instead of insert on change_put
begin
  insert into change_set (serial)
  select null from serial where set_id is null;
  insert into change (set_id, kind, server_id, registry_name, version)
  select g.id, new.kind, new.server_id, new.registry_name, new.version
    from (select max(id) as id from change_set) g
   where new.kind is not null
     and not exists (
           select 1
             from change c
            where c.id = (select max(id) from change)
              and c.set_id = g.id
              and (c.kind, c.server_id, c.version)
                  is (new.kind, new.server_id, new.version)
              and c.registry_name is coalesce(new.registry_name, c.registry_name)
         );
end;

create trigger server_changed_inserted
  after insert on server
begin
  insert into change_put (kind, server_id, registry_name)
  values ('server', new.id, new.registry_name);
end;

create trigger server_changed_updated
  after update on server
  when (old.doc, old.readme_content) is not (new.doc, new.readme_content)
begin
  insert into change_put (kind, server_id, registry_name)
  values ('server', new.id, new.registry_name);
end;

create trigger server_changed_deleted
  after delete on server
begin
  insert into change_put (kind, server_id, registry_name)
  values ('server', old.id, old.registry_name);
end;

create trigger server_version_changed_inserted
  after insert on server_version
begin
  insert into change_put (kind, server_id, registry_name, version)
  values ('version', new.server_id, new.registry_name, new.version);
end;

-- The item follows a row that was put in; that is no change of its own.
create trigger server_version_changed_updated
  after update on server_version
  when (old.item <> '' and old.item <> new.item)
    or (old.server_id, old.registry_name, old.version, old.problems)
         <> (new.server_id, new.registry_name, new.version, new.problems)
begin
  insert into change_put (kind, server_id, registry_name, version)
  select 'version', old.server_id, old.registry_name, old.version
   where (old.registry_name, old.version) <> (new.registry_name, new.version);
  insert into change_put (kind, server_id, registry_name, version)
  values ('version', new.server_id, new.registry_name, new.version);
end;

create trigger server_version_changed_deleted
  after delete on server_version
begin
  insert into change_put (kind, server_id, registry_name, version)
  values ('version', old.server_id, old.registry_name, old.version);
end;

-- Embeddings decide which tools are alike; the feed does not list them.
create trigger tool_embedding_changed_inserted
  after insert on tool_embedding
begin
  insert into change_put (kind) values (null);
end;

create trigger tool_embedding_changed_updated
  after update on tool_embedding
  when (old.tool_id, old.model_name, old.embedding)
    is not (new.tool_id, new.model_name, new.embedding)
begin
  insert into change_put (kind) values (null);
end;

create trigger tool_embedding_changed_deleted
  after delete on tool_embedding
begin
  insert into change_put (kind) values (null);
end;

-- A tool, a prompt and so on: its server has changed. What goes with its server needs no
-- telling.
create trigger tool_changed_inserted
  after insert on tool
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger tool_changed_updated
  after update on tool
  when (
         old.id, old.server_id, old.name, old.description, old.input_schema,
         old.created_at, old.updated_at
       )
    is not (
         new.id, new.server_id, new.name, new.description, new.input_schema,
         new.created_at, new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger tool_changed_deleted
  after delete on tool
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

create trigger resource_template_changed_inserted
  after insert on resource_template
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger resource_template_changed_updated
  after update on resource_template
  when (
         old.id, old.server_id, old.uri_template, old.name, old.mime_type,
         old.description, old.created_at, old.updated_at
       )
    is not (
         new.id, new.server_id, new.uri_template, new.name, new.mime_type,
         new.description, new.created_at, new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger resource_template_changed_deleted
  after delete on resource_template
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

create trigger prompt_changed_inserted
  after insert on prompt
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger prompt_changed_updated
  after update on prompt
  when (
         old.id, old.server_id, old.name, old.description, old.arguments, old.created_at,
         old.updated_at
       )
    is not (
         new.id, new.server_id, new.name, new.description, new.arguments, new.created_at,
         new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger prompt_changed_deleted
  after delete on prompt
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

create trigger dependency_changed_inserted
  after insert on dependency
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger dependency_changed_updated
  after update on dependency
  when (
         old.id, old.server_id, old.library_name, old.version_constraint, old.ecosystem,
         old.type, old.created_at, old.updated_at
       )
    is not (
         new.id, new.server_id, new.library_name, new.version_constraint, new.ecosystem,
         new.type, new.created_at, new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger dependency_changed_deleted
  after delete on dependency
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

create trigger release_changed_inserted
  after insert on release
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger release_changed_updated
  after update on release
  when (
         old.id, old.server_id, old.version, old.changelog, old.published_at,
         old.created_at, old.updated_at
       )
    is not (
         new.id, new.server_id, new.version, new.changelog, new.published_at,
         new.created_at, new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger release_changed_deleted
  after delete on release
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

create trigger contributor_changed_inserted
  after insert on contributor
begin
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger contributor_changed_updated
  after update on contributor
  when (
         old.id, old.server_id, old.username, old.platform, old.commits, old.created_at,
         old.updated_at
       )
    is not (
         new.id, new.server_id, new.username, new.platform, new.commits, new.created_at,
         new.updated_at
       )
begin
  insert into change_put (kind, server_id)
  select 'server', old.server_id where old.server_id <> new.server_id;
  insert into change_put (kind, server_id) values ('server', new.server_id);
end;

create trigger contributor_changed_deleted
  after delete on contributor
  when exists (select 1 from server where id = old.server_id)
begin
  insert into change_put (kind, server_id) values ('server', old.server_id);
end;

-- Those who follow the feed from its beginning get what was there before it.
insert into change_set (serial) values (null);

insert into change (set_id, kind, server_id, registry_name, version)
select (select max(id) from change_set), kind, server_id, registry_name, version
  from (
    select 'server' as kind, id as server_id, registry_name, null as version
      from server
     union all
    select 'version', server_id, registry_name, version
      from server_version
  );

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'faabd50264c9e5005a0d50b41549443b0cb33b8d3dbaa92234311491154c1303',
  '0010.serial',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
