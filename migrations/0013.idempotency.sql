-- Answers to writes that carried an Idempotency-Key, kept for a day.

-- `scope` is the SHA-256 of who asked, what was asked, and the key. The row is made in
-- the transaction of the write itself, so both are there or neither is.
create table kept_answer (
  scope bytea primary key,
  body_hash bytea not null,
  created_at timestamptz not null default now(),
  status integer,
  headers text,
  body text
);

create index kept_answer_by_created_at on kept_answer (created_at);

call migration_put('0013.idempotency');
