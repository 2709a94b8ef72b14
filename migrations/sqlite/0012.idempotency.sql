-- Answers to writes that carried an Idempotency-Key, kept for a day.

create table kept_answer (
  scope blob primary key,
  body_hash blob not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  status integer,
  headers text,
  body text
) strict;

create index kept_answer_by_created_at on kept_answer (created_at);

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '14a81c4c17d9e1d70edcdfdd80d7f6307f4e8f0c9a9419b9d02ef1cbfb11f34c',
  '0012.idempotency',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
