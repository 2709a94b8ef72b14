-- The extensions without which there is no search. Where the role may not create them,
-- this stops with the statement that a superuser has to run.

do $do$
declare
  wanted constant text[] := array['pg_trgm', 'btree_gin', 'btree_gist'];
  missing text;
  statements text;
begin
  select string_agg(name, ', '),
         string_agg(format('create extension if not exists %I;', name), ' ')
    into missing, statements
    from unnest(wanted) name
   where not exists (select from pg_extension where extname = name);

  for position in 1 .. cardinality(wanted) loop
    execute format('create extension if not exists %I', wanted[position]);
  end loop;
exception
  when insufficient_privilege then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format(
        'the role %I may not create extensions in the database %I: have a superuser run there: %s',
        current_user, current_database(), statements
      );
  when feature_not_supported or undefined_file then
    raise exception using
      errcode = 'feature_not_supported',
      message = format(
        'this PostgreSQL server does not have all of the extensions %s: '
        'install its contrib package (postgresql-contrib)', missing
      );
end
$do$;

call migration_put('0001.extensions');
