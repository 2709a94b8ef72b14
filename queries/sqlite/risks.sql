-- What shows the risk of a server.

-- name: risk_get(id, uuid)$
-- The level and the facts of a server as JSON; no row without that server.
select '{"server_id":' || s.id
         || ',"risk_level":' || json_quote(s.risk_level)
         || ',"facts":[' || coalesce((
              select group_concat(doc, ',')
                from (
                  select '{"source":' || json_quote(r.source)
                           || ',"kind":' || json_quote(r.kind)
                           || ',"file":' || json_quote(r.file)
                           || ',"line":' || r.line
                           || ',"detail":' || json_quote(r.detail)
                           || '}' as doc
                    from risk_fact r
                   where r.server_id = s.id
                   order by r.source, r.file, r.line, r.id
                )
            ), '')
         || ']}' as body
  from server s
 where s.id = coalesce(:id, (select u.id from server u where u.uuid = :uuid));

-- name: risk_prune(server_id, source, facts)!
-- Takes away what a source no longer shows of a server.
delete from risk_fact
 where server_id = :server_id
   and source = :source
   and not exists (
         select 1
           from json_each(:facts) f
          where (
                  f.value ->> 'kind', f.value ->> 'file', f.value ->> 'line',
                  f.value ->> 'detail'
                )
                = (kind, file, line, detail)
       );

-- name: risk_put(server_id, source, facts)!
-- Puts in what a source shows of a server and is not there yet.
insert into risk_fact (server_id, source, kind, file, line, detail)
select :server_id, :source, f.value ->> 'kind', f.value ->> 'file', f.value ->> 'line',
       f.value ->> 'detail'
  from json_each(:facts) f
 where not exists (
         select 1
           from risk_fact r
          where r.server_id = :server_id
            and r.source = :source
            and (r.kind, r.file, r.line, r.detail) = (
                  f.value ->> 'kind', f.value ->> 'file', f.value ->> 'line',
                  f.value ->> 'detail'
                )
       );
