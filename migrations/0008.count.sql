-- How much belongs to each server, counted as it comes and goes: the answer for one server
-- then reads one row instead of seven indexes.

create table server_count (
  server_id bigint primary key references server on delete cascade,
  tools bigint not null default 0,
  resources bigint not null default 0,
  prompts bigint not null default 0,
  dependencies bigint not null default 0,
  releases bigint not null default 0,
  contributors bigint not null default 0,
  versions bigint not null default 0,
  doc text generated always as (
    '{"tools":' || tools::text
      || ',"resources":' || resources::text
      || ',"prompts":' || prompts::text
      || ',"dependencies":' || dependencies::text
      || ',"releases":' || releases::text
      || ',"contributors":' || contributors::text
      || ',"versions":' || versions::text
      || '}'
  ) stored
) with (fillfactor = 80);

-- Adds or takes away what one statement inserted or deleted; the argument is the column.
create function server_count_change() returns trigger
  language plpgsql
as $$
begin
  if tg_op = 'INSERT' then
    execute format(
      'insert into server_count as c (server_id, %1$I)
       select server_id, count(*)
         from changed
        group by server_id
        order by server_id
           on conflict (server_id) do update
          set %1$I = c.%1$I + excluded.%1$I',
      tg_argv[0]
    );
  elsif tg_op = 'DELETE' then
    execute format(
      'update server_count c
          set %1$I = c.%1$I - gone.number
         from (
           select server_id, count(*) as number from changed group by server_id
         ) gone
        where c.server_id = gone.server_id',
      tg_argv[0]
    );
  else
    execute format('update server_count set %1$I = 0', tg_argv[0]);
  end if;
  return null;
end
$$;

-- Moves one row from a server to another.
create function server_count_move() returns trigger
  language plpgsql
as $$
begin
  execute format(
    'insert into server_count as c (server_id, %1$I)
     values ($1, -1), ($2, 1)
         on conflict (server_id) do update
        set %1$I = c.%1$I + excluded.%1$I',
    tg_argv[0]
  ) using old.server_id, new.server_id;
  return null;
end
$$;

-- What goes with its server needs no counting: a cascade is a trigger already.
do $do$
declare
  kind record;
begin
  for kind in
    select *
      from (
        values ('tool', 'tools'),
               ('resource_template', 'resources'),
               ('prompt', 'prompts'),
               ('dependency', 'dependencies'),
               ('release', 'releases'),
               ('contributor', 'contributors'),
               ('server_version', 'versions')
      ) kinds (name, counted)
  loop
    execute format(
      'create trigger %1$s_count_inserted
         after insert on %1$I
         referencing new table as changed
         for each statement execute function server_count_change(%2$L);
       create trigger %1$s_count_deleted
         after delete on %1$I
         referencing old table as changed
         for each statement when (pg_trigger_depth() = 0)
         execute function server_count_change(%2$L);
       create trigger %1$s_count_truncated
         after truncate on %1$I
         for each statement execute function server_count_change(%2$L);
       create trigger %1$s_count_moved
         after update of server_id on %1$I
         for each row when (old.server_id <> new.server_id)
         execute function server_count_move(%2$L);
       insert into server_count as c (server_id, %2$I)
       select server_id, count(*)
         from %1$I
        group by server_id
           on conflict (server_id) do update
          set %2$I = excluded.%2$I',
      kind.name, kind.counted
    );
  end loop;
end
$do$;

-- The parts of a whole server: what a list shows of it, its README, and how much belongs
-- to it.
create view server_detail as
select s.id,
       s.doc,
       s.readme_content,
       coalesce(
         c.doc,
         '{"tools":0,"resources":0,"prompts":0,"dependencies":0,"releases":0,'
           || '"contributors":0,"versions":0}'
       ) as counts
  from server s
  left join server_count c on c.server_id = s.id;

call migration_put('0008.count');
