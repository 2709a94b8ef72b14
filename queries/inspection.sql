-- Queries of `mcps check`: what an installation looks like from inside its database.

-- name: inspection_server()^
-- The server, this role and this database: version, limits, load, clock and safety.
select current_setting('server_version_num')::integer as version_num,
       split_part(current_setting('server_version'), ' ', 1) as version,
       getdatabaseencoding()::text as encoding,
       pg_is_in_recovery() as is_standby,
       current_setting('transaction_read_only')::boolean as is_read_only,
       current_setting('fsync')::boolean as has_fsync,
       current_setting('autovacuum')::boolean as has_autovacuum,
       extract(epoch from clock_timestamp())::double precision as clock_s,
       not coalesce(inet_server_addr() <<= inet '127.0.0.0/8', true)
         and inet_server_addr() <> inet '::1' as is_remote,
       coalesce(tls.ssl, false) as is_encrypted,
       to_regclass('tool_embedding_nearest') is not null as has_vector_index
  from pg_stat_ssl tls
 where tls.pid = pg_backend_pid();

-- name: inspection_connections()^
-- How many connections there may be and how many there are, MCPS apart from others.
select current_setting('max_connections')::integer
         - current_setting('superuser_reserved_connections')::integer
         - coalesce(current_setting('reserved_connections', true)::integer, 0)
         as usable,
       nullif(r.rolconnlimit, -1) as role_limit,
       nullif(d.datconnlimit, -1) as database_limit,
       count(a.pid) filter (where a.application_name like 'mcps%') as ours,
       count(a.pid) filter (where a.application_name not like 'mcps%') as others
  from pg_roles r
  join pg_database d on d.datname = current_database()
  left join pg_stat_activity a
    on a.datid is not null and coalesce(a.backend_type, 'client backend') = 'client backend'
 where r.rolname = current_user
 group by r.rolconnlimit, d.datconnlimit;

-- name: inspection_extensions()
-- The extensions that MCPS uses, and whether this role could create what is missing.
select wanted.name,
       wanted.is_required,
       e.extversion as installed,
       a.default_version as available,
       format('create extension if not exists %I;', wanted.name) as statement,
       r.rolsuper or (
         has_database_privilege(current_database(), 'create')
         and exists (
           select from pg_available_extension_versions v
            where v.name = wanted.name
              and v.version = a.default_version
              and v.trusted
         )
       ) as may_create
  from (
    values ('pg_trgm', true), ('btree_gin', true), ('btree_gist', true),
           ('vector', false), ('pg_stat_statements', false)
  ) wanted (name, is_required)
  join pg_roles r on r.rolname = current_user
  left join pg_extension e on e.extname = wanted.name
  left join pg_available_extensions a on a.name = wanted.name
 order by wanted.name;

-- name: inspection_privileges()
-- Tables of the catalog that this role may not fully use, and the statement that lets it.
select c.relname::text as table_name,
       string_agg(needed.privilege, ', ' order by needed.place) as missing,
       format(
         'grant %s on %I.%I to %I;',
         string_agg(needed.privilege, ', ' order by needed.place),
         c.relnamespace::regnamespace::text,
         c.relname,
         current_user
       ) as statement
  from pg_class home
  join pg_class c
    on c.relnamespace = home.relnamespace
   and c.relowner = home.relowner
   and c.relkind in ('r', 'p', 'v')
 cross join unnest(array['select', 'insert', 'update', 'delete'])
       with ordinality needed (privilege, place)
 where home.oid = to_regclass('server')
   and not has_table_privilege(c.oid, needed.privilege)
   and (
     needed.privilege = 'select'
     or (c.relkind <> 'v' and c.relname !~ '^_?(yoyo|migration)')
   )
 group by c.relname, c.relnamespace
 order by c.relname;

-- name: inspection_indexes()
-- Indexes whose concurrent build did not end well; no query uses them.
select c.relname::text as index_name,
       format('reindex index concurrently %I;', c.relname) as statement
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where not i.indisvalid
   and c.relnamespace = current_schema()::regnamespace
 order by c.relname;

-- name: inspection_catalog()^
-- What is stored.
select (select count(*) from server) as servers,
       (select count(*) from server_version) as versions,
       (select count(*) from tool) as tools;

-- name: inspection_slow(wanted)
-- The statements that took longest in all.
select s.statement, s.calls, s.total_ms, s.mean_ms
  from slow_statements(:wanted::bigint) s;
