-- Keys, sources and the log of what was taken from where.

create table api_key (
  id integer primary key autoincrement,
  prefix text not null unique,
  secret_hash blob not null check (length(secret_hash) = 32),
  role text not null check (role in ('reader', 'editor', 'admin')),
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  expires_at text,
  last_used_at text,
  revoked_at text
) strict;

create table source (
  id integer primary key autoincrement,
  name text not null unique,
  checkpoint text check (checkpoint is null or json_valid(checkpoint)),
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create table processing_log (
  id integer primary key autoincrement,
  url text not null unique check (length(cast(url as blob)) <= 2048),
  status text not null,
  attempts integer not null default 0,
  last_attempt_at text,
  error_message text,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
) strict;

create index processing_log_by_status on processing_log (status, id);

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '8e829b010e417f0f84c627c4491c8f585d88cb949db607d5443e5f6d883230f2',
  '0006.operation',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
