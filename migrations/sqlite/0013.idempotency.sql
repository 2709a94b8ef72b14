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
  '5393e2904328d11cd61820029e710349995d84ccaf4b6b0f7ec08b46929ca389',
  '0013.idempotency',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
