-- Queries about the session and the server itself.

-- name: session_ping()$
-- Answers 1 as long as the connection lives.
select 1 as alive;

-- name: session_health()^
-- The newest applied migration; null before the first.
select max(migration_id) as schema_version
  from _yoyo_migration;

-- name: session_limits(timeout_ms)^
-- Sets the statement and lock limits of the current transaction, in milliseconds.
select set_config('statement_timeout', :timeout_ms, true) as statement_timeout,
       set_config('lock_timeout', :timeout_ms, true) as lock_timeout;

-- name: session_patience()^
-- Lets the current transaction last as long as somebody reads in it.
select set_config('statement_timeout', '0', true) as statement_timeout,
       set_config('idle_in_transaction_session_timeout', '0', true) as idle_timeout;

-- name: extension_exists(name)$
-- Whether an extension is installed in this database.
select exists (
  select from pg_extension where extname = :name
);
