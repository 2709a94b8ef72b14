-- What an administrator asks of the whole catalog, and changes in it.

-- name: admin_lock()^
-- Nothing to wait for: the transaction that asks is the only one that writes.
select 'held' as is_held;

-- name: admin_stats()$
-- The catalog in figures, as JSON.
with score as (
  select count(*) as servers,
         coalesce((200 * sum(health_score) + count(*)) / (2 * count(*)), 0) as hundredths
    from server
)
select '{"servers":' || servers
         || ',"average_health_score":' || printf('%d.%02d', hundredths / 100, hundredths % 100)
         || ',"by_host_type":{' || coalesce((
           select group_concat('"' || host_type || '":' || number, ',')
             from (select host_type, count(*) as number
                     from server group by host_type order by host_type)
         ), '')
         || '},"by_risk_level":{' || coalesce((
           select group_concat('"' || risk_level || '":' || number, ',')
             from (select risk_level, count(*) as number
                     from server group by risk_level order by risk_level)
         ), '')
         || '},"children":{"tools":' || (select count(*) from tool)
         || ',"resources":' || (select count(*) from resource_template)
         || ',"prompts":' || (select count(*) from prompt)
         || ',"dependencies":' || (select count(*) from dependency)
         || ',"releases":' || (select count(*) from release)
         || ',"contributors":' || (select count(*) from contributor)
         || ',"versions":' || (select count(*) from server_version)
         || '},"top_by_stars":[' || coalesce((
           select group_concat(doc, ',')
             from (select doc from server order by stars desc, id desc limit 5)
         ), '')
         || '],"recently_updated":[' || coalesce((
           select group_concat(doc, ',')
             from (select doc from server order by updated_at desc, id desc limit 5)
         ), '')
         || ']}' as doc
  from score;

-- name: admin_health_put()<!
-- Scores every server anew.
update server
   set health_score = scored.score, updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from (
    select s.id,
           case when julianday('now') - julianday(last_indexed_at) < 7 then 30
                when julianday('now') - julianday(last_indexed_at) < 30 then 20
                when julianday('now') - julianday(last_indexed_at) < 90 then 10 else 0 end
             + case when stars > 100 then 15 when stars > 10 then 10
                    when stars > 0 then 5 else 0 end
             + case when forks > 20 then 15 when forks > 5 then 10
                    when forks > 0 then 5 else 0 end
             + case when length(readme_content) > 500 then 10
                    when length(readme_content) > 100 then 5 else 0 end
             + case when length(description) > 50 then 10
                    when description <> '' then 5 else 0 end
             + case when license <> '' then 10 else 0 end
             + case when exists (
                 select 1 from release r
                  where r.server_id = s.id
                    and julianday('now') - julianday(r.published_at) < 90
               ) then 10 else 0 end as score
      from server s
  ) scored
 where server.id = scored.id
   and health_score <> scored.score;
select (select count(*) from server) as checked,
       changes() as updated;

-- name: admin_risk_put()<!
-- Weighs the risk of every server anew.
update server
   set risk_level = rated.level, updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from (
    select id,
           case when points >= 5 then 'critical' when points >= 3 then 'high'
                when points >= 1 then 'moderate' else 'safe' end as level
      from (
        select id,
               case when verified_source then -1
                    else case when number > 50 then 2 when number > 20 then 1 else 0 end
                      + case when description
                                  regexp '\b(shell|exec|eval|subprocess|rm -rf)\b'
                             then 2 else 0 end
                      + case when stars < 5 then 1 else 0 end end as points
          from (
            select s.id, s.verified_source, s.description, s.stars,
                   (select count(*)
                      from (select 1 from dependency where server_id = s.id limit 51)
                   ) as number
              from server s
          )
      )
  ) rated
 where server.id = rated.id
   and risk_level <> rated.level;
select (select count(*) from server) as checked,
       changes() as updated;

-- name: admin_stale_page(days, wanted)
-- Servers that nobody indexed for so long, with the number of all of them.
select id,
       name,
       primary_url,
       last_indexed_at,
       count(*) over () as total
  from server
 where coalesce(last_indexed_at, created_at)
       < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-' || :days || ' days')
 order by id
 limit :wanted;

-- name: admin_stale_delete(days, wanted)<!
-- Deletes some servers that nobody indexed for so long, the oldest entries first.
delete from server
 where id in (
         select id
           from server
          where coalesce(last_indexed_at, created_at)
                < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-' || :days || ' days')
          order by id
          limit :wanted
       )
returning id, name, primary_url, last_indexed_at;

-- name: admin_servers_put(fields, min_stars, max_stars, ids, updates, claims, dry_run)<!
-- Changes the servers that have these fields; counts those and the ones that differ.
delete from admin_fitting;
insert into admin_fitting (id, after, is_changed)
select s.id,
       json_patch(f.doc, :updates),
       json_patch(f.doc, :updates) <> f.doc
  from server s
  join server_fields f on f.id = s.id
 where s.stars between :min_stars and :max_stars
   and (:ids is null or s.id in (select value from json_each(:ids)))
   and not exists (
         select 1
           from json_each(:fields) w
          where iif(
                  w.type = 'array',
                  exists (
                    select 1
                      from json_each(w.value) e
                     where e.value not in (
                       select value from json_each(f.doc, '$.' || w.key)
                     )
                  ),
                  json_extract(f.doc, '$.' || w.key) is not w.value
                )
       );
update server
   set host_type = after ->> 'host_type', risk_level = after ->> 'risk_level',
       verified_source = after ->> 'verified_source', license = after ->> 'license',
       author_name = after ->> 'author_name', homepage = after ->> 'homepage',
       categories = after ->> 'categories', keywords = after ->> 'keywords',
       field_sources = json_patch(field_sources, :claims),
       updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
  from admin_fitting a
 where server.id = a.id and a.is_changed and not :dry_run;
select count(*) as matched,
       count(*) filter (where is_changed) as updated
  from admin_fitting;
