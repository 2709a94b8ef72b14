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
