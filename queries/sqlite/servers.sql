-- Servers: pages in ten orders, one server, and the writes of the JSON API.
--
-- A page is the documents of its servers and of the first one behind it. `key` and
-- `from_id` say where it begins.

-- name: server_page_by_name(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by name.
select doc
  from server
 where (substr(name, 1, 200), id) >= (:key, :from_id)
   and substr(name, 1, 200) >= :key
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by substr(name, 1, 200), id
 limit :wanted + 1
offset :skip;

-- name: server_page_by_name_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by name, last first.
select doc
  from server
 where (substr(name, 1, 200), id) <= (:key, :from_id)
   and substr(name, 1, 200) <= :key
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by substr(name, 1, 200) desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_by_stars(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by stars, fewest first.
select doc
  from server
 where (stars, id) >= (cast(:key as integer), :from_id)
   and stars >= coalesce(:min_stars, -9223372036854775808)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by stars, id
 limit :wanted + 1
offset :skip;

-- name: server_page_by_stars_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by stars, most first.
select doc
  from server
 where (stars, id) <= (cast(:key as integer), :from_id)
   and stars >= coalesce(:min_stars, -9223372036854775808)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by stars desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_popular(key, from_id, wanted, skip)
-- Servers by stars, most first, without any filter: what is asked for most.
select doc
  from server
 where (stars, id) <= (cast(:key as integer), :from_id)
 order by stars desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_by_downloads(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by downloads, fewest first.
select doc
  from server
 where (downloads, id) >= (cast(:key as integer), :from_id)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by downloads, id
 limit :wanted + 1
offset :skip;

-- name: server_page_by_downloads_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by downloads, most first.
select doc
  from server
 where (downloads, id) <= (cast(:key as integer), :from_id)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by downloads desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_by_health_score(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by health score, lowest first.
select doc
  from server
 where (health_score, id) >= (cast(:key as integer), :from_id)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by health_score, id
 limit :wanted + 1
offset :skip;

-- name: server_page_by_health_score_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by health score, highest first.
select doc
  from server
 where (health_score, id) <= (cast(:key as integer), :from_id)
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by health_score desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_by_updated_at(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by their last change, oldest first.
select doc
  from server
 where (updated_at, id) >= (utc_text(:key), :from_id)
   and updated_at > coalesce(utc_text(:updated_since), '-infinity')
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by updated_at, id
 limit :wanted + 1
offset :skip;

-- name: server_page_by_updated_at_desc(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, key, from_id, wanted, skip)
-- Servers by their last change, newest first.
select doc
  from server
 where (updated_at, id) <= (utc_text(:key), :from_id)
   and updated_at > coalesce(utc_text(:updated_since), '-infinity')
   and (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ))
 order by updated_at desc, id desc
 limit :wanted + 1
offset :skip;

-- name: server_page_of_few(labels, by, direction, number, word, most, host_type, risk_level, verified_only, category, keyword, min_stars, updated_since, from_id, wanted, skip)
-- Servers in any order where few have the labels or the time; no row where many have.
with few as materialized (
  select server_id as id from server_label
   where :labels is not null and label in (select value from json_each(:labels))
   group by server_id
  having count(*) = (select count(distinct value) from json_each(:labels))
   union all
  select id from server
   where :labels is null and updated_at > utc_text(:updated_since)
   limit :most + 1
), keyed as (
  select id,
         case :by when 'stars' then stars when 'downloads' then downloads
           when 'health_score' then health_score else 0 end as number,
         case :by when 'name' then substr(name, 1, 200)
           when 'updated_at' then updated_at else '' end as word
    from server
   where id in (select id from few) and (select count(*) from few) <= :most
     and (:host_type is null or host_type = :host_type)
     and (:risk_level is null or risk_level = :risk_level)
     and (not :verified_only or verified_source)
     and (:category is null or :category in (select value from json_each(categories)))
     and (:keyword is null or :keyword in (select value from json_each(keywords)))
     and stars >= coalesce(:min_stars, stars)
     and (:updated_since is null or updated_at > utc_text(:updated_since))
), page as (
  select id, row_number() over (order by number, word, id) * :direction as place
    from keyed
   where iif(:direction > 0,
           (number, word, id) >= (cast(:number as integer), :word, :from_id),
           (number, word, id) <= (cast(:number as integer), :word, :from_id))
   order by place
   limit :wanted + 1
  offset :skip
)
select s.doc
  from (select count(*) as number from few) found
  left join page on true
  left join server s on s.id = page.id
 where found.number <= :most
 order by page.place;

-- name: server_count(host_type, risk_level, verified_only, category, keyword, min_stars, updated_since)$
-- How many servers pass the filters.
select count(*) as servers
  from server
 where (:host_type is null or host_type = :host_type)
   and (:risk_level is null or risk_level = :risk_level)
   and (not :verified_only or verified_source)
   and (:min_stars is null or stars >= :min_stars)
   and (:updated_since is null or updated_at > utc_text(:updated_since))
   and (:category is null or exists (
         select 1 from json_each(categories) where value = :category
       ))
   and (:keyword is null or exists (
         select 1 from json_each(keywords) where value = :keyword
       ));

-- name: server_get(id)^
-- The parts of one whole server.
select doc,
       readme_content,
       counts
  from server_detail
 where id = :id;

-- name: server_get_by_uuid(uuid)^
-- The parts of one whole server, by its uuid.
select doc,
       readme_content,
       counts
  from server_detail
 where id = (select u.id from server u where u.uuid = :uuid);

-- name: server_lock(id, uuid)^
-- One server; the transaction that asks is the only one that writes.
select s.id,
       s.registry_name,
       exists (select 1 from server_version v where v.server_id = s.id) as is_published
  from server s
 where s.id = coalesce(:id, (select u.id from server u where u.uuid = :uuid));

-- name: server_add(server, claims)<!
-- A new server, and who said its fields; no row when its URL or registry name is taken.
insert into server (
  name, registry_name, title, primary_url, host_type, description, author_name,
  homepage, license, readme_content, keywords, categories, stars, downloads, forks,
  open_issues, risk_level, verified_source, health_score, last_indexed_at, field_sources
)
select body ->> 'name', body ->> 'registry_name', body ->> 'title',
       body ->> 'primary_url', body ->> 'host_type', body ->> 'description',
       body ->> 'author_name', body ->> 'homepage', body ->> 'license',
       body ->> 'readme_content', body ->> 'keywords', body ->> 'categories',
       body ->> 'stars', body ->> 'downloads', body ->> 'forks', body ->> 'open_issues',
       body ->> 'risk_level', body ->> 'verified_source', body ->> 'health_score',
       utc_text(body ->> 'last_indexed_at'), :claims
  from (select :server as body)
 where true
    on conflict do nothing
returning id;

-- name: server_change(id, changes, claims)!
-- Gives a server fields, and who said them; touches nothing that has these values.
update server
   set (name, registry_name, title, primary_url, host_type, description, author_name,
        homepage, license, readme_content, keywords, categories, stars, downloads, forks,
        open_issues, risk_level, verified_source, health_score, last_indexed_at,
        updated_at, field_sources) = (
         after ->> 'name', after ->> 'registry_name', after ->> 'title',
         after ->> 'primary_url', after ->> 'host_type', after ->> 'description',
         after ->> 'author_name', after ->> 'homepage', after ->> 'license',
         after ->> 'readme_content', after ->> 'keywords', after ->> 'categories',
         after ->> 'stars', after ->> 'downloads', after ->> 'forks',
         after ->> 'open_issues', after ->> 'risk_level', after ->> 'verified_source',
         after ->> 'health_score', utc_text(after ->> 'last_indexed_at'),
         iif(is_new, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), updated_at),
         json_patch(field_sources, :claims)
       )
  from (
         select json_patch(f.doc, :changes) as after,
                exists (
                  select 1
                    from json_each(:changes) c
                   where f.doc ->> c.key
                         is not iif(c.key = 'last_indexed_at', utc_text(c.value), c.value)
                ) as is_new
           from server_fields f
          where f.id = :id
       )
 where id = :id
   and (is_new or field_sources <> json_patch(field_sources, :claims));

-- name: server_claim(id, claims)!
-- Notes who said fields of a server, as {"title": "api"}.
update server
   set field_sources = json_patch(field_sources, :claims)
 where id = :id
   and field_sources <> json_patch(field_sources, :claims);

-- name: server_twin(id, uuid, primary_url, registry_name)$
-- The other server that has this URL or this registry name.
select id
  from server
 where (primary_url = :primary_url or registry_name = :registry_name)
   and id is not :id
   and uuid is not :uuid
 order by id
 limit 1;

-- name: server_delete(id)!
-- Deletes a server and all that belongs to it.
delete from server
 where id = :id;
