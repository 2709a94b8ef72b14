-- What shows the risk of a server.

-- name: risk_get(id, uuid)$
-- The level and the facts of a server as JSON; no row without that server.
select '{"server_id":' || s.id
         || ',"risk_level":' || json_quote(s.risk_level)
         || ',"facts":[' || coalesce((
              select string_agg(
                       '{"source":' || json_quote(r.source)
                         || ',"kind":' || json_quote(r.kind)
                         || ',"file":' || json_quote(r.file)
                         || ',"line":' || r.line
                         || ',"detail":' || json_quote(r.detail)
                         || '}',
                       ','
                       order by r.source, r.file collate "C", r.line, r.id
                     )
                from risk_fact r
               where r.server_id = s.id
            ), '')
         || ']}' as body
  from server s
 where s.id = coalesce(
         :id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );

-- name: risk_prune(server_id, source, facts)!
-- Takes away what a source no longer shows of a server.
delete from risk_fact r
 where r.server_id = :server_id::bigint
   and r.source = :source::text
   and not exists (
         select
           from json_to_recordset(:facts::text::json) as f (
                  kind text, file text, line integer, detail text
                )
          where (f.kind, f.file, f.line, f.detail)
                = (r.kind, r.file, r.line, r.detail)
       );

-- name: risk_put(server_id, source, facts)!
-- Puts in what a source shows of a server and is not there yet.
insert into risk_fact (server_id, source, kind, file, line, detail)
select :server_id::bigint, :source::text, f.kind, f.file, f.line, f.detail
  from json_to_recordset(:facts::text::json) as f (
         kind text, file text, line integer, detail text
       )
 where not exists (
         select
           from risk_fact r
          where r.server_id = :server_id::bigint
            and r.source = :source::text
            and (r.kind, r.file, r.line, r.detail)
                = (f.kind, f.file, f.line, f.detail)
       );
