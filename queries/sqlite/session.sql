-- Queries about the session and the database itself.

-- name: session_ping()$
-- Answers 1 as long as the connection lives.
select 1 as alive;

-- name: session_health()^
-- The newest applied migration; null before the first.
select max(migration_id) as schema_version
  from _yoyo_migration;
