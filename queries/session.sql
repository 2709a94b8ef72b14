-- Queries about the session and the server itself.

-- name: session_ping()$
-- Answers 1 as long as the connection lives.
select 1 as alive;

-- name: session_health()^
-- The newest applied migration; null before the first.
select max(migration_id) as schema_version
  from _yoyo_migration;

-- name: session_role()^
-- Whether this server takes writes: then the timeline that it writes, else 0.
select case
         when pg_is_in_recovery() then 0
         when current_setting('default_transaction_read_only')::boolean then 0
         else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
       end as timeline;

-- name: session_place()$
-- How far the log is written on a primary, or replayed on a replica, in bytes.
select pg_wal_lsn_diff(
         case
           when pg_is_in_recovery() then pg_last_wal_replay_lsn()
           else pg_current_wal_lsn()
         end,
         '0/0'
       )::bigint as place;

-- name: session_limits(timeout_ms, lock_ms)^
-- Sets the statement and lock limits of the current transaction, in milliseconds.
select set_config('statement_timeout', :timeout_ms, true) as statement_timeout,
       set_config('lock_timeout', :lock_ms, true) as lock_timeout;

-- name: session_patience()^
-- Lets the current transaction last as long as somebody reads in it.
select set_config('statement_timeout', '0', true) as statement_timeout,
       set_config('idle_in_transaction_session_timeout', '0', true) as idle_timeout;

-- name: extension_exists(name)$
-- Whether an extension is installed in this database.
select exists (
  select from pg_extension where extname = :name
);
