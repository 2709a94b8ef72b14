-- Servers: pages in ten orders, one server, and the writes of the JSON API.
--
-- A page is the documents of its servers and of the first one behind it. `key` and
-- `from_id` say where it begins.

-- name: server_page_by_name(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by name.
select doc
  from server
 where (left(name, 200), id) >= (:key::text, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by left(name, 200), id
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_name_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by name, last first.
select doc
  from server
 where (left(name, 200), id) <= (:key::text, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by left(name, 200) desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_stars(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by stars, fewest first.
select doc
  from server
 where (stars, id) >= (:key::text::bigint, :from_id::bigint)
   and stars >= coalesce(:min_stars::bigint, '-9223372036854775808'::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by stars, id
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_stars_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by stars, most first.
select doc
  from server
 where (stars, id) <= (:key::text::bigint, :from_id::bigint)
   and stars >= coalesce(:min_stars::bigint, '-9223372036854775808'::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by stars desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_popular(key, from_id, wanted, skip)
-- Servers by stars, most first, without any filter: what is asked for most.
select doc
  from server
 where (stars, id) <= (:key::text::bigint, :from_id::bigint)
 order by stars desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_downloads(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by downloads, fewest first.
select doc
  from server
 where (downloads, id) >= (:key::text::bigint, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by downloads, id
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_downloads_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by downloads, most first.
select doc
  from server
 where (downloads, id) <= (:key::text::bigint, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by downloads desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_health_score(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by health score, lowest first.
select doc
  from server
 where (health_score, id) >= (:key::text::bigint, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by health_score, id
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_health_score_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by health score, highest first.
select doc
  from server
 where (health_score, id) <= (:key::text::bigint, :from_id::bigint)
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by health_score desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_updated_at(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by their last change, oldest first.
select doc
  from server
 where (updated_at, id) >= (:key::text::timestamptz, :from_id::bigint)
   and updated_at > coalesce(:updated_since::text, '-infinity')::timestamptz
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by updated_at, id
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_by_updated_at_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by their last change, newest first.
select doc
  from server
 where (updated_at, id) <= (:key::text::timestamptz, :from_id::bigint)
   and updated_at > coalesce(:updated_since::text, '-infinity')::timestamptz
   and server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       )
 order by updated_at desc, id desc
 limit :wanted::bigint + 1
offset :skip::bigint;

-- name: server_page_of_few(labels, by, direction, number, word, most, host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, from_id, wanted, skip)
-- Servers in any order where few have the labels or the time; no row where many have.
with few as materialized (
  select id from server
   where :labels::text is not null
     and (keywords || categories) @> :labels::text::jsonb
   union all
  select id from server
   where :labels::text is null
     and updated_at > :updated_since::text::timestamptz
   limit :most::bigint + 1
), keyed as (
  select s.id,
         case :by::text when 'stars' then s.stars when 'downloads' then s.downloads
           when 'health_score' then s.health_score else 0 end as number,
         case :by::text when 'name' then left(s.name, 200)
           when 'updated_at' then utc_text(s.updated_at) else '' end as word
    from server s
   where s.id = any (array(select id from few))
     and (select count(*) from few) <= :most::bigint
     and server_fits(s, :host_type::text, :risk_level::text, :verified_only::boolean,
           :category::text, :keyword::text, :min_stars::bigint,
           :updated_since::text::timestamptz)
), page as (
  select id, row_number() over (order by number, word, id) * :direction::int as place
    from keyed
   where case when :direction::int > 0
           then (number, word, id) >= (:number::text::bigint, :word::text, :from_id::bigint)
           else (number, word, id) <= (:number::text::bigint, :word::text, :from_id::bigint)
         end
   order by place
   limit :wanted::bigint + 1
  offset :skip::bigint
)
select s.doc
  from (select count(*) as number from few) found
  left join page on true
  left join server s on s.id = page.id
 where found.number <= :most::bigint
 order by page.place;

-- name: server_count(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since)$
-- How many servers pass the filters.
select count(*) as servers
  from server
 where server_fits(
         server, :host_type::text, :risk_level::text, :verified_only::boolean,
         :category::text, :keyword::text, :min_stars::bigint,
         :updated_since::text::timestamptz
       );

-- name: server_get(id)^
-- The parts of one whole server.
select doc,
       readme_content,
       counts
  from server_detail
 where id = :id::bigint;

-- name: server_get_by_uuid(uuid)^
-- The parts of one whole server, by its uuid.
select doc,
       readme_content,
       counts
  from server_detail
 where id = (select u.id from server u where u.uuid = :uuid::text::uuid);

-- name: server_lock(id, uuid)^
-- Keeps a server as it is until the transaction ends.
select s.id,
       s.registry_name,
       exists (select from server_version v where v.server_id = s.id) as is_published
  from server s
 where s.id = coalesce(
         :id::bigint, (select u.id from server u where u.uuid = :uuid::text::uuid)
       )
   for update of s;

-- name: server_add(server, claims)<!
-- A new server, and who said its fields; no row when its URL or registry name is taken.
insert into server (
  name, registry_name, title, primary_url, host_type, description, author_name,
  homepage, license, readme_content, keywords, categories, stars, downloads, forks,
  open_issues, risk_level, verified_source, health_score, last_indexed_at, field_sources
)
select name, registry_name, title, primary_url, host_type, description, author_name,
       homepage, license, readme_content, keywords, categories, stars, downloads, forks,
       open_issues, risk_level, verified_source, health_score, last_indexed_at,
       :claims::text::jsonb
  from jsonb_populate_record(null::server, :server::text::jsonb)
    on conflict do nothing
returning id;

-- name: server_change(id, changes, claims)!
-- Gives a server fields, and who said them; touches nothing that has these values.
update server s
   set (
         name, registry_name, title, primary_url, host_type, description, author_name,
         homepage, license, readme_content, keywords, categories, stars, downloads,
         forks, open_issues, risk_level, verified_source, health_score,
         last_indexed_at, updated_at, field_sources
       ) = (
         select n.name, n.registry_name, n.title, n.primary_url, n.host_type,
                n.description, n.author_name, n.homepage, n.license, n.readme_content,
                n.keywords, n.categories, n.stars, n.downloads, n.forks, n.open_issues,
                n.risk_level, n.verified_source, n.health_score, n.last_indexed_at,
                case when s is distinct from n then clock_timestamp() else s.updated_at end,
                s.field_sources || :claims::text::jsonb
           from jsonb_populate_record(s, :changes::text::jsonb) n
       )
 where s.id = :id::bigint
   and (
         s is distinct from jsonb_populate_record(s, :changes::text::jsonb)
         or not s.field_sources @> :claims::text::jsonb
       );

-- name: server_claim(id, claims)!
-- Notes who said fields of a server, as {"title": "api"}.
update server
   set field_sources = field_sources || :claims::text::jsonb
 where id = :id::bigint
   and not field_sources @> :claims::text::jsonb;

-- name: server_twin(id, uuid, primary_url, registry_name)$
-- The other server that has this URL or this registry name.
select id
  from server
 where (primary_url = :primary_url::text or registry_name = :registry_name::text)
   and id is distinct from :id::bigint
   and uuid is distinct from :uuid::text::uuid
 order by id
 limit 1;

-- name: server_delete(id)!
-- Deletes a server and all that belongs to it.
delete from server
 where id = :id::bigint;
