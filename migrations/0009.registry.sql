-- The standard registry API: each version as its clients read it, ready to be sent.

alter table server_version
  add column item text,
  add column labels text not null default '';

-- The document, with its name in place of a description that is missing or blank:
-- clients refuse a whole page whose first entry has none.
create function registry_document(document json, name text) returns text
  language sql stable parallel safe
  return case
    when json_typeof(document) <> 'object'
      or json_typeof(document -> 'description') = 'string'
     and document ->> 'description' ~ '\S'
      then document::text
    else (
      select '{"description":'
               || json_quote(coalesce(substring(document ->> 'title' from '\S.*'), name))
               || coalesce(',' || string_agg(to_json(key)::text || ':' || value::text, ','), '')
               || '}'
        from json_each(document)
       where key <> 'description'
    )
  end;

-- What lists filter by: ` type:npm transport:stdio remote `.
create function registry_labels(document json) returns text
  language sql immutable parallel safe
begin atomic
  select ' ' || coalesce(string_agg(distinct label, ' ' order by label) || ' ', '')
    from (select document::jsonb as body) parsed
   cross join lateral (
     select 'type:' || (value #>> '{}') as label
       from jsonb_path_query(body, '$.packages[*].registryType') value
      union all
     select 'transport:' || (value #>> '{}')
       from jsonb_path_query(body, '$.packages[*].transport.type') value
      union all
     select 'transport:' || (value #>> '{}')
       from jsonb_path_query(body, '$.remotes[*].type') value
      union all
     select 'remote'
      where jsonb_path_exists(body, '$.remotes[*].type')
   ) found;
end;

-- The item of one version. Whoever loses or gains the mark of the latest changes for those
-- who ask what was updated.
create function server_version_write_item() returns trigger
  language plpgsql
as $$
begin
  if tg_op = 'UPDATE' then
    if old.is_latest <> new.is_latest and old.updated_at = new.updated_at then
      new.updated_at := now();
    end if;
    if old.document::text <> new.document::text or new.item is null then
      new.labels := registry_labels(new.document);
    end if;
  else
    new.labels := registry_labels(new.document);
  end if;

  new.item := '{"server":' || registry_document(new.document, new.registry_name)
    || ',"_meta":{"io.modelcontextprotocol.registry/official":{"status":"' || new.status
    || '","statusChangedAt":"' || utc_text(new.status_changed_at)
    || case
         when new.status_message <> ''
           then '","statusMessage":' || json_quote(new.status_message) || ',"publishedAt":"'
         else '","publishedAt":"'
       end
    || utc_text(new.published_at)
    || '","updatedAt":"' || utc_text(new.updated_at)
    || '","isLatest":' || new.is_latest
    || '}}}';
  return new;
end
$$;

create trigger server_version_write_item
  before insert or update on server_version
  for each row execute function server_version_write_item();

-- The item stays in the row, the document is compressed first.
alter table server_version
  alter column item set storage main;

update server_version
   set item = null;

alter table server_version
  alter column item set not null;

create index server_version_latest_by_name on server_version (registry_name, version)
  where is_latest;

-- All that a list can be filtered by: walking it reads no rows.
create index server_version_by_filter on server_version (registry_name, version)
  include (id, status, is_latest, updated_at, labels);

-- Whether a version passes the filters of a list; null filters nothing.
create function registry_fits(
  v_status text,
  v_is_latest boolean,
  v_version text,
  v_updated_at timestamptz,
  v_labels text,
  only_latest boolean,
  exact text,
  status text,
  include_deleted boolean,
  updated_since timestamptz,
  registry_type text,
  transport text,
  remote boolean
) returns boolean
  language sql immutable parallel safe
  return case
    when only_latest and not v_is_latest then false
    when v_version <> exact then false
    when v_status <> status then false
    when v_status = 'deleted' and status is null and not include_deleted then false
    when v_updated_at <= updated_since then false
    when strpos(v_labels, ' type:' || registry_type || ' ') = 0 then false
    when strpos(v_labels, ' transport:' || transport || ' ') = 0 then false
    when (strpos(v_labels, ' remote ') > 0) <> remote then false
    else true
  end;

-- The servers that a search finds: those whose name or title holds every word first, then
-- the most popular others by their rank, then the rest. `pattern` is for what is no word.
create function registry_ranked(query tsquery, pattern text)
  returns table (server_id bigint, rank double precision)
  language plpgsql stable
  rows 100
  set enable_seqscan = off
as $$
begin
  if pattern is null then
    return query
    select s.server_id,
           case
             when s.head @@ query then 1 + ts_rank_cd(s.head, query, 2 | 4)
             when row_number() over (order by s.stars desc, s.server_id) <= 300
               then ts_rank_cd(s.words, query, 2 | 4)
             else 0
           end::double precision
      from server_search s
     where s.words @@ query;
  else
    return query
    select p.server_id, 0::double precision
      from server_path p
     where p.path like pattern
       and (
             query is null
             or exists (
               select
                 from server_search s
                where s.server_id = p.server_id
                  and s.words @@ query
             )
           );
  end if;
end
$$;

call migration_put('0009.registry');
