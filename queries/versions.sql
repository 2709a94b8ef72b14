-- Published versions of a server.

-- name: version_page(server_id, uuid, key, from_id, wanted, skip)
-- Published versions of a server, newest first; no row without that server.
select (select i.doc from server_version_item i where i.id = page.id) as doc
  from server s
  left join lateral (
    select c.id
      from server_version c
     where c.server_id = s.id
       and (c.published_at, c.id) <= (:key::text::timestamptz, :from_id::bigint)
     order by c.published_at desc, c.id desc
     limit :wanted::bigint + 1
    offset :skip::bigint
  ) page on true
 where s.id = coalesce(
         :server_id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       );
