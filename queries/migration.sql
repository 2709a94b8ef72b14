-- Queries of `mcps migrate`, which runs them on a session of its own.

-- name: migration_session()!
-- Frees the session from the limits of its role, and ends it soon after its process.
do $$
begin
  perform set_config('statement_timeout', '0', false);
  perform set_config('idle_in_transaction_session_timeout', '0', false);
  perform set_config('lock_timeout', '10s', false);
  begin
    perform set_config('client_connection_check_interval', '1s', false);
  exception
    when invalid_parameter_value then
      raise notice 'this server does not notice a client that was killed';
  end;
end
$$;

-- name: migration_lock()$
-- Takes the lock of migrations for the session; false while another session has it.
select pg_try_advisory_lock(hashtextextended('mcps migrate', 0)) as is_locked;

-- name: migration_holder()^
-- The session that holds the lock of migrations.
select a.pid,
       coalesce('from ' || host(a.client_addr), 'over a socket') as place,
       to_char(a.backend_start at time zone 'utc', 'HH24:MI:SS') as started_at
  from pg_locks l
  join pg_stat_activity a on a.pid = l.pid
  join pg_database d on d.oid = l.database
 where l.locktype = 'advisory'
   and l.granted
   and d.datname = current_database()
   and (l.classid::bigint << 32) + l.objid::bigint
     = hashtextextended('mcps migrate', 0);

-- name: migration_rival()^
-- A session as old as the lock row of a yoyo command: its run may still be alive.
select a.pid,
       coalesce('from ' || host(a.client_addr), 'over a socket') as place,
       to_char(a.backend_start at time zone 'utc', 'HH24:MI:SS') as started_at
  from yoyo_lock l
  join pg_stat_activity a
    on a.backend_start between (l.ctime at time zone 'utc') - interval '15 s'
                           and (l.ctime at time zone 'utc') + interval '5 s'
 where a.datname = current_database()
   and a.backend_type = 'client backend'
   and a.pid <> pg_backend_pid()
   and a.application_name not like 'mcps%'
 limit 1;

-- name: migration_role()^
-- Whether the role may make tables here, and the statement that lets it.
select current_user::text as role,
       coalesce(current_schema(), '')::text as schema,
       has_schema_privilege(current_schema(), 'create') as may_create,
       format('grant create on schema %I to %I;', current_schema(), current_user)
         as statement,
       pg_is_in_recovery()
         or current_setting('transaction_read_only')::boolean as is_read_only;

-- name: migration_table_exists(name)$
-- Whether a table of the migrations is there.
select to_regclass(:name::text) is not null as is_there;

-- name: migration_rows()
-- The applied migrations.
select migration_id as name,
       to_char(applied_at_utc, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as applied_at
  from _yoyo_migration
 order by migration_id;

-- name: migration_checksum_rows()
-- The checksums of the applied migrations as they were recorded.
select migration_id as name, sha256
  from migration_checksum;

-- name: migration_checksum_put(name, sha256)!
-- Records what an applied migration looks like.
insert into migration_checksum (migration_id, sha256)
values (:name::text, :sha256::text)
    on conflict do nothing;

-- name: migration_extensions()!
-- Makes use of optional extensions that the server offers by now.
call optional_extensions();
