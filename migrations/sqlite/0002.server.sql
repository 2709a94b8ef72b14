-- Servers and what the public JSON of one looks like. Times are text in one form, six
-- digits and Z, so that they sort as they are.

create table server (
  id integer primary key autoincrement,
  uuid text not null unique default (
    lower(
      hex(randomblob(4)) || '-' || hex(randomblob(2))
      || '-4' || substr(hex(randomblob(2)), 2)
      || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2)
      || '-' || hex(randomblob(6))
    )
  ),
  registry_name text unique check (length(cast(registry_name as blob)) <= 1024),
  name text not null check (name <> ''),
  title text,
  primary_url text not null unique check (length(cast(primary_url as blob)) <= 2048),
  host_type text not null default 'unknown' check (
    host_type in ('github', 'gitlab', 'npm', 'pypi', 'docker', 'http', 'unknown')
  ),
  description text,
  author_name text,
  homepage text,
  license text,
  readme_content text,
  keywords text not null default '[]' check (json_type(keywords) = 'array'),
  categories text not null default '[]' check (json_type(categories) = 'array'),
  stars integer not null default 0,
  downloads integer not null default 0,
  forks integer not null default 0,
  open_issues integer not null default 0,
  risk_level text not null default 'unknown' check (
    risk_level in ('safe', 'moderate', 'high', 'critical', 'unknown')
  ),
  verified_source integer not null default 0 check (verified_source in (0, 1)),
  health_score integer not null default 0,
  latest_version text,
  last_indexed_at text check (last_indexed_at glob '????-??-??T??:??:??.??????Z'),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
    check (created_at glob '????-??-??T??:??:??.??????Z'),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
    check (updated_at glob '????-??-??T??:??:??.??????Z'),
  doc text not null generated always as (
    '{"id":' || id
      || ',"uuid":"' || uuid
      || '","name":' || json_quote(name)
      || ',"registry_name":' || json_quote(registry_name)
      || ',"title":' || json_quote(title)
      || ',"primary_url":' || json_quote(primary_url)
      || ',"host_type":"' || host_type
      || '","description":' || json_quote(description)
      || ',"author_name":' || json_quote(author_name)
      || ',"homepage":' || json_quote(homepage)
      || ',"license":' || json_quote(license)
      || ',"keywords":' || keywords
      || ',"categories":' || categories
      || ',"stars":' || stars
      || ',"downloads":' || downloads
      || ',"forks":' || forks
      || ',"open_issues":' || open_issues
      || ',"risk_level":"' || risk_level
      || '","verified_source":' || iif(verified_source, 'true', 'false')
      || ',"health_score":' || health_score
      || ',"latest_version":' || json_quote(latest_version)
      || ',"last_indexed_at":' || json_quote(last_indexed_at)
      || ',"created_at":"' || created_at
      || '","updated_at":"' || updated_at
      || '"}'
  ) stored
) strict;

create index server_by_name on server (substr(name, 1, 200), id);
create index server_by_stars on server (stars, id);
create index server_by_downloads on server (downloads, id);
create index server_by_health_score on server (health_score, id);
create index server_by_updated_at on server (updated_at, id);

-- Lists are kept with a blank after each comma, as PostgreSQL writes them. What holds more
-- than texts and numbers stays as it is sent: taking it apart would make 1 of true.

create trigger server_keywords_inserted
  after insert on server
  when new.keywords <> '[]'
   and not exists (
         select 1
           from json_each(new.keywords)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.keywords <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.keywords)
       )
begin
  update server
     set keywords = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.keywords)
         )
   where id = new.id;
end;

create trigger server_keywords_updated
  after update of keywords on server
  when new.keywords <> '[]'
   and not exists (
         select 1
           from json_each(new.keywords)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.keywords <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.keywords)
       )
begin
  update server
     set keywords = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.keywords)
         )
   where id = new.id;
end;

create trigger server_categories_inserted
  after insert on server
  when new.categories <> '[]'
   and not exists (
         select 1
           from json_each(new.categories)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.categories <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.categories)
       )
begin
  update server
     set categories = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.categories)
         )
   where id = new.id;
end;

create trigger server_categories_updated
  after update of categories on server
  when new.categories <> '[]'
   and not exists (
         select 1
           from json_each(new.categories)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.categories <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.categories)
       )
begin
  update server
     set categories = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.categories)
         )
   where id = new.id;
end;

-- The words of both lists together: a filter on either finds its candidates here.
create table server_label (
  label text not null,
  server_id integer not null references server on delete cascade,
  primary key (label, server_id)
) strict, without rowid;

create index server_label_by_server on server_label (server_id);

create trigger server_label_inserted
  after insert on server
begin
  insert or ignore into server_label (label, server_id)
  select value, new.id from json_each(new.keywords)
   union all
  select value, new.id from json_each(new.categories);
end;

create trigger server_label_updated
  after update of keywords, categories on server
  when (json(old.keywords), json(old.categories))
    is not (json(new.keywords), json(new.categories))
begin
  delete from server_label where server_id = new.id;
  insert or ignore into server_label (label, server_id)
  select value, new.id from json_each(new.keywords)
   union all
  select value, new.id from json_each(new.categories);
end;

-- What may be changed of a server, as JSON without what is null.
create view server_fields as
select id,
       json_patch('{}', json_object(
         'name', name,
         'registry_name', registry_name,
         'title', title,
         'primary_url', primary_url,
         'host_type', host_type,
         'description', description,
         'author_name', author_name,
         'homepage', homepage,
         'license', license,
         'readme_content', readme_content,
         'keywords', json(keywords),
         'categories', json(categories),
         'stars', stars,
         'downloads', downloads,
         'forks', forks,
         'open_issues', open_issues,
         'risk_level', risk_level,
         'verified_source', json(iif(verified_source, 'true', 'false')),
         'health_score', health_score,
         'last_indexed_at', last_indexed_at
       )) as doc
  from server;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'b3c995ed00273744c2bd5d740cda67bb2c189c66fd4b993690c7015b2c8ef47e',
  '0002.server',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
