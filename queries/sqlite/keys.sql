-- API keys. Only the SHA-256 of a secret is ever stored.

-- name: key_get(prefix)^
-- The key of a prefix; always one row, so that an unknown prefix takes as long.
select k.id,
       k.secret_hash,
       k.role,
       k.revoked_at is not null as is_revoked,
       (julianday(k.expires_at) - julianday('now')) * 86400.0 as remaining_s
  from (select :prefix as prefix) given
  left join api_key k on k.prefix = given.prefix;

-- name: key_put(prefix, secret_hash, role, name, expires_at)<!
-- Stores a new key.
insert into api_key (prefix, secret_hash, role, name, expires_at)
values (:prefix, :secret_hash, :role, :name, utc_text(:expires_at))
returning created_at,
          expires_at,
          expires_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') as is_over;

-- name: key_list()
-- Every key without its secret, the newest first.
select prefix,
       role,
       name,
       created_at,
       expires_at,
       last_used_at,
       case
         when revoked_at is not null then 'revoked'
         when expires_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') then 'expired'
         else 'active'
       end as state
  from api_key
 order by id desc;

-- name: key_revoke(prefix)<!
-- Takes a key out of use; one that was revoked before stays as it is.
update api_key
   set revoked_at = coalesce(revoked_at, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
 where prefix = :prefix
returning prefix, role, name, revoked_at;

-- name: key_use(id)!
-- Notes that a key was used, at most once a minute whoever asks.
update api_key
   set last_used_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
 where id = :id
   and (
         last_used_at is null
         or last_used_at < strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 minute')
       );
