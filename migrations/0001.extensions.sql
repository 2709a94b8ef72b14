-- Extensions, for the roles that may create them. pg_trgm, btree_gin and btree_gist are
-- required: where the role may not, this stops with the statement a superuser has to run.
-- vector is optional: without it everything but vector search works.

create extension if not exists pg_trgm;

create extension if not exists btree_gin;

create extension if not exists btree_gist;

do $do$
begin
  create extension if not exists vector;
exception
  when undefined_file or feature_not_supported or insufficient_privilege then
    raise notice 'vector is not available: vector search answers 501';
end
$do$;
