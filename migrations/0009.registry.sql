-- The standard registry API: each version as its clients read it, ready to be sent.

alter table server_version
  add column item text,
  add column labels text not null default '';

-- The document with its title or name as a description: clients refuse a whole page whose
-- first entry has none.
create function registry_described(document json, name text) returns text
  language sql stable parallel safe
  return (
    select '{"description":'
             || json_quote(coalesce(substring(document ->> 'title' from '\S.*'), name))
             || coalesce(',' || string_agg(to_json(key)::text || ':' || value::text, ','), '')
             || '}'
      from json_each(document)
     where key <> 'description'
  );

-- ` kind:one kind:two` from `["one", "two"]`.
create function registry_labels(kind text, words jsonb) returns text
  language sql immutable parallel safe
  return case
    when words = '[]' then ''
    else ' ' || kind || replace(translate(words::text, '[]" ', ''), ',', ' ' || kind)
  end;

-- The item of one version, and what lists filter by: ` type:npm transport:stdio remote `.
-- Whoever loses or gains the mark of the latest changes for those who ask what was updated.
create function server_version_write_item() returns trigger
  language plpgsql
as $$
declare
  body constant jsonb := new.document;
  shown text := new.document;
begin
  if tg_op = 'UPDATE'
     and old.is_latest <> new.is_latest
     and old.updated_at = new.updated_at then
    new.updated_at := now();
  end if;

  if jsonb_typeof(body) = 'object'
     and (jsonb_typeof(body -> 'description') = 'string'
          and body ->> 'description' ~ '\S') is not true then
    shown := registry_described(new.document, new.registry_name);
  end if;

  new.labels := registry_labels(
      'type:', jsonb_path_query_array(body, '$.packages[*].registryType')
    )
    || registry_labels(
      'transport:', jsonb_path_query_array(body, '$.packages[*].transport.type')
    )
    || registry_labels('transport:', jsonb_path_query_array(body, '$.remotes[*].type'))
    || case when body @? '$.remotes[*].type' then ' remote ' else ' ' end;

  new.item := '{"server":' || shown
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
  alter column item set storage main,
  alter column item set statistics 0;

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

-- How well a server fits; more than 1 for a name or title that holds every word.
create function registry_rank(head tsvector, words tsvector, query tsquery)
  returns double precision
  language sql immutable parallel safe
  return greatest(
    0.000001,
    case
      when head @@ query then 1 + ts_rank_cd(head, query, 2 | 4)
      else ts_rank_cd(words, query, 2 | 4)
    end
  )::double precision;

-- The servers that a search finds, or those of them that are in `best`: the ones whose name
-- or title holds every word first. `pattern` is for what is no word.
create function registry_ranked(query tsquery, pattern text, best bigint[])
  returns table (server_id bigint, rank double precision)
  language plpgsql stable
  rows 100
  set enable_seqscan = off
as $$
begin
  if pattern is not null then
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
  elsif best is null then
    return query
    select s.server_id, registry_rank(s.head, s.words, query)
      from server_search s
     where s.words @@ query;
  else
    return query
    select s.server_id, registry_rank(s.head, s.words, query)
      from server_search s
     where s.server_id = any(best)
       and (s.words @@ query) is true;
  end if;
end
$$;

-- What a frequent word finds beside the best, by name: every second row or so is one, so
-- walking the names meets a page of them soon.
create function registry_rest(
  query tsquery,
  best bigint[],
  only_latest boolean,
  exact text,
  status text,
  include_deleted boolean,
  updated_since timestamptz,
  registry_type text,
  transport text,
  remote boolean,
  after_name text,
  after_version text,
  wanted bigint
)
  returns table (id bigint)
  language plpgsql stable
  rows 100
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_sort = off
as $$
begin
  if only_latest then
    return query
    select v.id
      from server_version v
      join server_search s on s.server_id = v.server_id
     where (v.registry_name, v.version) > (after_name, after_version)
       and v.is_latest
       and s.server_id <> all(best)
       and (s.words @@ query) is true
       and registry_fits(
             v.status, v.is_latest, v.version, v.updated_at, v.labels, only_latest, exact,
             registry_rest.status, include_deleted, updated_since, registry_type, transport,
             remote
           )
     order by v.registry_name, v.version
     limit wanted;
  else
    return query
    select v.id
      from server_version v
      join server_search s on s.server_id = v.server_id
     where (v.registry_name, v.version) > (after_name, after_version)
       and s.server_id <> all(best)
       and (s.words @@ query) is true
       and registry_fits(
             v.status, v.is_latest, v.version, v.updated_at, v.labels, only_latest, exact,
             registry_rest.status, include_deleted, updated_since, registry_type, transport,
             remote
           )
     order by v.registry_name, v.version
     limit wanted;
  end if;
end
$$;

-- The versions that a search finds after a place: best first, then by name. Of what is
-- found hundreds of times only some are ranked, the popular and those with short names.
create function registry_hits(
  query tsquery,
  pattern text,
  only_latest boolean,
  exact text,
  status text,
  include_deleted boolean,
  updated_since timestamptz,
  registry_type text,
  transport text,
  remote boolean,
  after_rank double precision,
  after_name text,
  after_version text,
  wanted bigint
)
  returns table (id bigint, rank double precision)
  language plpgsql stable
  rows 100
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  few constant bigint := 500;
  best bigint[];
  found_number bigint;
begin
  if pattern is null
     and few < (
       select count(*)
         from (select from server_search s where s.words @@ query limit few + 1) hit
     ) then
    best := server_candidates(query, true, 100);
  end if;

  return query
  select f.id, found.rank
    from registry_ranked(query, pattern, best) found
   cross join lateral (
     select l.id, l.registry_name, l.version, l.status, l.is_latest, l.updated_at, l.labels
       from server_version l
      where l.server_id = found.server_id and l.is_latest and only_latest
      union all
     select a.id, a.registry_name, a.version, a.status, a.is_latest, a.updated_at, a.labels
       from server_version a
      where a.server_id = found.server_id and not only_latest
   ) f
   where (-found.rank, f.registry_name, f.version)
           > (-after_rank, after_name, after_version)
     and registry_fits(
           f.status, f.is_latest, f.version, f.updated_at, f.labels, only_latest, exact,
           registry_hits.status, include_deleted, updated_since, registry_type, transport,
           remote
         )
   order by found.rank desc, f.registry_name, f.version
   limit wanted;
  get diagnostics found_number = row_count;

  if best is not null and found_number < wanted then
    return query
    select r.id, 0::double precision
      from registry_rest(
             query, best, only_latest, exact, registry_hits.status, include_deleted,
             updated_since, registry_type, transport, remote,
             case when after_rank > 0 then '' else after_name end,
             case when after_rank > 0 then '' else after_version end,
             wanted - found_number
           ) r;
  end if;
end
$$;

call migration_put('0009.registry');
