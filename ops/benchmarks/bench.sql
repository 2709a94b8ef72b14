-- What the benchmarks themselves ask of the database.

-- name: database_delete!
-- Drops what an earlier run may have left.
drop database if exists mcps_bench with (force);

-- name: database_create!
-- Makes the database of this run.
create database mcps_bench;

-- name: sequence_follow!
-- Moves the sequence behind the ids that were copied.
select setval(pg_get_serial_sequence('server', 'id'), max(id))
  from server;

-- name: tables_analyze!
-- Leaves nothing for autovacuum to do during the measurements.
vacuum (analyze);

-- name: tables_settled$
-- Whether every page is known to be seen by all; a snapshot elsewhere keeps vacuum from it.
select coalesce(bool_and(relallvisible >= relpages), true)
  from pg_class
 where relnamespace = 'public'::regnamespace
   and relkind = 'r';

-- name: pages_write!
-- Writes what is dirty now, not during the measurements.
checkpoint;

-- name: backend_here^
-- The process behind this connection, and the version of the server.
select pg_backend_pid() as pid,
       current_setting('server_version') as version;

-- name: server_count$
-- How many servers there are.
select count(*)
  from server;

-- name: reference_page
-- Twenty servers as columns, in the order of our page.
select id, uuid, name, registry_name, title, primary_url, host_type, description,
       author_name, homepage, license, keywords, categories, stars, downloads, forks,
       open_issues, risk_level, verified_source, health_score, latest_version,
       last_indexed_at, created_at, updated_at
  from server
 order by stars desc, id desc
 limit $1;

-- name: reference_server^
-- One server as columns, with its README.
select id, uuid, name, registry_name, title, primary_url, host_type, description,
       author_name, homepage, license, readme_content, keywords, categories, stars,
       downloads, forks, open_issues, risk_level, verified_source, health_score,
       latest_version, last_indexed_at, created_at, updated_at
  from server
 where id = $1;
