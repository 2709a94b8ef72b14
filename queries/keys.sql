-- API keys. Only the SHA-256 of a secret is ever stored.

-- name: key_get(prefix)^
-- The key of a prefix; always one row, so that an unknown prefix takes as long.
select k.id,
       k.secret_hash,
       k.role,
       k.revoked_at is not null as is_revoked,
       extract(epoch from k.expires_at - now())::double precision as remaining_s
  from (select :prefix::text as prefix) given
  left join api_key k on k.prefix = given.prefix;

-- name: key_put(prefix, secret_hash, role, name, expires_at)<!
-- Stores a new key.
insert into api_key (prefix, secret_hash, role, name, expires_at)
values (
  :prefix::text,
  :secret_hash::bytea,
  :role::text,
  :name::text,
  :expires_at::text::timestamptz
)
returning utc_text(created_at) as created_at,
          utc_text(expires_at) as expires_at,
          expires_at <= now() as is_over;

-- name: key_list()
-- Every key without its secret, the newest first.
select prefix,
       role,
       name,
       utc_text(created_at) as created_at,
       utc_text(expires_at) as expires_at,
       utc_text(last_used_at) as last_used_at,
       case
         when revoked_at is not null then 'revoked'
         when expires_at <= now() then 'expired'
         else 'active'
       end as state
  from api_key
 order by id desc;

-- name: key_revoke(prefix)<!
-- Takes a key out of use; one that was revoked before stays as it is.
update api_key
   set revoked_at = coalesce(revoked_at, now())
 where prefix = :prefix::text
returning prefix, role, name, utc_text(revoked_at) as revoked_at;

-- name: key_use(id)!
-- Notes that a key was used, at most once a minute whoever asks.
update api_key
   set last_used_at = now()
 where id = :id::bigint
   and (last_used_at is null or last_used_at < now() - interval '1 minute');
