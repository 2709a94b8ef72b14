-- Taking over files of the earlier MCPS: what one import remembers, and its batches.

-- name: import_find(fingerprint)$
-- The unfinished import of a file in this state.
select id
  from import_run
 where fingerprint = :fingerprint
   and ended_at is null;

-- name: import_forget(origin)!
-- Deletes what unfinished imports of an older state of the same file left.
delete from import_run
 where origin = :origin
   and ended_at is null;

-- name: import_begin(origin, fingerprint)<!
-- Begins an import.
insert into import_run (origin, fingerprint)
values (:origin, :fingerprint)
    on conflict (fingerprint) where ended_at is null do update
   set origin = excluded.origin
returning id;

-- name: import_end(run)!
-- Ends an import; what it would need to go on is not needed any more.
with progress as (
  delete from import_progress
   where run_id = :run::bigint
), notes as (
  delete from import_note
   where run_id = :run::bigint
)
update import_run
   set ended_at = now()
 where id = :run::bigint;

-- name: import_progress(run)
-- Up to which row of each table an import came, and how many it wrote.
select source_table,
       last_id,
       written,
       repaired
  from import_progress
 where run_id = :run::bigint;

-- name: import_notes(run, source_table, first_id, last_id)
-- What was refused and what stayed as it was, of these rows.
select source_id,
       state,
       reason
  from import_note
 where run_id = :run::bigint
   and source_table = :source_table
   and source_id between :first_id::bigint and :last_id::bigint;

-- name: import_may_add_legacy()$
-- Whether tables can be made in the schema `legacy`.
select case
         when to_regnamespace('legacy') is null
         then has_database_privilege(current_database(), 'create')
         else has_schema_privilege('legacy', 'create')
       end as is_allowed;

-- name: import_stage(stage, columns)!
-- Makes the temporary table of one batch.
call import_stage(:stage, :columns::text::jsonb);

-- name: import_spare_names()!
-- Gives servers of the batch another registry name where another entry or server has theirs.
do $$
begin
  update import_row_server r
     set registry_name = r.registry_name || '-' || r.digits
    from (
           select id,
                  row_number() over (partition by registry_name order by id) as place
             from import_row_server
         ) same
   where same.id = r.id
     and (
           same.place > 1
           or exists (
                select
                  from server s
                 where s.registry_name = r.registry_name
                   and s.primary_url <> r.primary_url
              )
         );
end
$$;

-- name: import_put(run, plan, first_id, last_id, mended)$
-- Stores the staged rows; gives the ids of those that were there and changed.
select to_json(
         import_put(
           :run::bigint, :plan::text::jsonb, :first_id::bigint, :last_id::bigint,
           :mended::text::bigint[]
         )
       )::text as changed;

-- name: import_is_new(run, plan, first_id)$
-- Whether rows of these ids and greater ones cannot be here.
select import_is_new(:run::bigint, :plan::text::jsonb, :first_id::bigint) as is_new;

-- name: import_tools_follow()$
-- Lets the servers that come next in this transaction be sorted in with their tools.
select set_config('mcps.tools_follow', 'on', true) as is_on;

-- name: import_search_put(server_ids)$
-- Sorts servers in that have no tools to wait for.
select server_search_put(:server_ids::text::bigint[]) as put;

-- name: import_progress_put(run, source_table, last_id, written, repaired)!
-- Takes note of a batch that was copied straight into its table.
call import_advance(
  :run::bigint, :source_table::text, :last_id::bigint, :written::bigint, :repaired::bigint
);

-- name: import_show_latest(server_ids)!
-- Lets servers say which of their versions is the latest.
update server s
   set latest_version = v.version
  from server_version v
 where v.server_id = s.id
   and v.is_latest
   and s.latest_version is distinct from v.version
   and s.id in (
         select value::bigint
           from jsonb_array_elements_text(:server_ids::text::jsonb)
       );

-- name: import_legacy(name, key, columns)!
-- Makes a table in the schema `legacy`, or lets the one that is there hold these columns.
call import_legacy(:name, :key, :columns::text::jsonb);

-- name: import_follow(target, last_id)$
-- Lets new ids of a table follow those of the file.
select import_follow(:target, :last_id::bigint);

-- name: import_digest(run, plan, first_id, last_id, ids)^
-- How many of these rows are here, and a digest of each of their columns.
select amount,
       to_json(digests)::text as digests
  from import_digest(
         :run::bigint, :plan::text::jsonb, :first_id::bigint, :last_id::bigint,
         :ids::text::int8multirange
       );

-- name: import_lift_nearest(expected)$
-- Takes the index of nearest embeddings away where it would cost more than it is worth.
select import_lift_nearest(:expected::bigint) as is_lifted;

-- name: import_build_nearest()!
-- Builds the index of nearest embeddings where it is missing.
call import_build_nearest();

-- name: import_search_rest()!
-- Writes the search rows of servers that have none.
call import_search_rest();
