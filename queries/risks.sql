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
                       order by r.source, r.file, r.line, r.id
                     )
                from risk r
               where r.server_id = s.id
            ), '')
         || ']}' as body
  from server s
 where s.id = coalesce(
         :id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );
