-- What an administrator asks of the whole catalog, and changes in it.

-- name: admin_lock()^
-- Waits until no other work on the whole catalog runs; the transaction holds it.
select pg_advisory_xact_lock(hashtextextended('mcps admin', 0))::text as is_held;

-- name: admin_stats()$
-- The catalog in figures, as JSON.
with figure as (
  select host_type, risk_level, count(*) as servers, coalesce(avg(health_score), 0) as score
    from server
   group by grouping sets ((), (host_type), (risk_level))
)
select '{"servers":' || max(servers)
         || ',"average_health_score":'
         || max(round(score, 2)) filter (where host_type is null and risk_level is null)
         || ',"by_host_type":{' || coalesce(string_agg(
           '"' || host_type || '":' || servers, ',' order by host_type
         ) filter (where host_type is not null), '')
         || '},"by_risk_level":{' || coalesce(string_agg(
           '"' || risk_level || '":' || servers, ',' order by risk_level
         ) filter (where risk_level is not null), '')
         || '},"children":{"tools":' || (select count(*) from tool)
         || ',"resources":' || (select count(*) from resource_template)
         || ',"prompts":' || (select count(*) from prompt)
         || ',"dependencies":' || (select count(*) from dependency)
         || ',"releases":' || (select count(*) from release)
         || ',"contributors":' || (select count(*) from contributor)
         || ',"versions":' || (select count(*) from server_version)
         || '},"top_by_stars":[' || coalesce((
           select string_agg(t.doc, ',' order by t.stars desc, t.id desc)
             from (select doc, stars, id from server order by stars desc, id desc limit 5) t
         ), '')
         || '],"recently_updated":[' || coalesce((
           select string_agg(t.doc, ',' order by t.updated_at desc, t.id desc)
             from (select doc, updated_at, id
                     from server order by updated_at desc, id desc limit 5) t
         ), '')
         || ']}' as doc
  from figure;

-- name: admin_health_put()<!
-- Scores every server anew; the length of a long README is known without reading it.
with scored as materialized (
  select s.id,
         case when s.last_indexed_at > now() - interval '7 days' then 30
              when s.last_indexed_at > now() - interval '30 days' then 20
              when s.last_indexed_at > now() - interval '90 days' then 10 else 0 end
           + case when s.stars > 100 then 15 when s.stars > 10 then 10
                  when s.stars > 0 then 5 else 0 end
           + case when s.forks > 20 then 15 when s.forks > 5 then 10
                  when s.forks > 0 then 5 else 0 end
           + case when octet_length(s.readme_content) > 2000 then 10
                  when octet_length(s.readme_content) <= 100 then 0
                  when char_length(s.readme_content) > 500 then 10
                  when char_length(s.readme_content) > 100 then 5 else 0 end
           + case when char_length(s.description) > 50 then 10
                  when s.description <> '' then 5 else 0 end
           + case when s.license <> '' then 10 else 0 end
           + case when exists (
               select from release r
                where r.server_id = s.id
                  and r.published_at > now() - interval '90 days'
             ) then 10 else 0 end as score
    from server s
), changed as (
  update server s
     set health_score = scored.score, updated_at = now()
    from scored
   where s.id = scored.id
     and s.health_score <> scored.score
  returning s.id
)
select (select count(*) from scored) as checked,
       (select count(*) from changed) as updated;

-- name: admin_risk_put()<!
-- Weighs the risk of every server anew.
with weighed as materialized (
  select s.id,
         case when s.verified_source then -1
              else case when d.number > 50 then 2 when d.number > 20 then 1 else 0 end
                + case when s.description ~* '\m(shell|exec|eval|subprocess|rm -rf)\M'
                       then 2 else 0 end
                + case when s.stars < 5 then 1 else 0 end end as points
    from server s
   cross join lateral (
     select count(*) as number
       from (select from dependency where server_id = s.id limit 51) few
   ) d
), rated as (
  select id,
         case when points >= 5 then 'critical' when points >= 3 then 'high'
              when points >= 1 then 'moderate' else 'safe' end as level
    from weighed
), changed as (
  update server s
     set risk_level = rated.level, updated_at = now()
    from rated
   where s.id = rated.id
     and s.risk_level <> rated.level
  returning s.id
)
select (select count(*) from weighed) as checked,
       (select count(*) from changed) as updated;

-- name: admin_stale_page(days, wanted)
-- Servers that nobody indexed for so long, with the number of all of them.
select id,
       name,
       primary_url,
       utc_text(last_indexed_at) as last_indexed_at,
       count(*) over () as total
  from server
 where coalesce(last_indexed_at, created_at) < now() - make_interval(days => :days::integer)
 order by id
 limit :wanted::bigint;

-- name: admin_stale_delete(days, wanted)<!
-- Deletes some servers that nobody indexed for so long, the oldest entries first.
with stale as materialized (
  select id
    from server
   where coalesce(last_indexed_at, created_at)
         < now() - make_interval(days => :days::integer)
   order by id
   limit :wanted::bigint
     for update
)
delete from server s
 using stale
 where s.id = stale.id
returning s.id,
          s.name,
          s.primary_url,
          utc_text(s.last_indexed_at) as last_indexed_at;

-- name: admin_servers_put(fields, min_stars, max_stars, ids, updates, claims, dry_run)<!
-- Changes the servers that have these fields; counts those and the ones that differ.
with fitting as materialized (
  select s.id, d.fields as before, d.fields || :updates::text::jsonb as after
    from server s
   cross join lateral (
     select jsonb_build_object(
       'host_type', s.host_type,
       'risk_level', s.risk_level,
       'verified_source', s.verified_source,
       'license', s.license,
       'author_name', s.author_name,
       'homepage', s.homepage,
       'categories', s.categories,
       'keywords', s.keywords
     ) as fields
   ) d
   where d.fields @> :fields::text::jsonb
     and s.stars between :min_stars::bigint and :max_stars::bigint
     and (:ids::text is null or s.id in (
       select value::bigint from jsonb_array_elements_text(:ids::text::jsonb)
     ))
   order by s.id
     for update of s
), changed as (
  update server s
     set host_type = target.host_type, risk_level = target.risk_level,
         verified_source = target.verified_source, license = target.license,
         author_name = target.author_name, homepage = target.homepage,
         categories = target.categories, keywords = target.keywords,
         field_sources = s.field_sources || :claims::text::jsonb, updated_at = now()
    from fitting f
   cross join lateral jsonb_populate_record(null::server, f.after) target
   where s.id = f.id and f.after <> f.before and not :dry_run::boolean
)
select count(*) as matched,
       count(*) filter (where after <> before) as updated
  from fitting;
