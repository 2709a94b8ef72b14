-- Kept answers: what a write with an Idempotency-Key was answered, for a day.

-- name: kept_claim(scope, body_hash)<!
-- Takes a key for this transaction; no row when it was used within a day. Whoever comes
-- while another transaction has it waits for the end of that.
insert into kept_answer as k (scope, body_hash)
values (:scope::bytea, :body_hash::bytea)
    on conflict (scope) do update
   set body_hash = excluded.body_hash,
       created_at = excluded.created_at
 where k.created_at < now() - interval '24 hours'
returning 1 as claimed;

-- name: kept_get(scope)^
-- What was answered before.
select body_hash,
       status,
       headers,
       body
  from kept_answer
 where scope = :scope::bytea;

-- name: kept_put(scope, status, headers, body)!
-- Keeps the answer of a claimed key.
update kept_answer
   set status = :status::integer,
       headers = :headers::text,
       body = :body::text
 where scope = :scope::bytea;

-- name: kept_expire()!
-- Deletes some of the answers that are older than a day.
delete from kept_answer
 where scope in (
         select scope
           from kept_answer
          where created_at < now() - interval '25 hours'
          order by created_at
          limit 20
            for update skip locked
       );
