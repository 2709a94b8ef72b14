-- The standard registry API: each version as its clients read it, ready to be sent.

alter table server_version
  add column item text not null default '';
alter table server_version
  add column labels text not null default '';

-- The document with its title or name as a description where it has none: clients refuse a
-- whole page whose first entry has none.
create view server_version_shown as
select v.id,
       iif(
         trim(described, blanks) <> '',
         document,
         '{"description":'
           || json_quote(
                coalesce(
                  nullif(ltrim(cast(document ->> 'title' as text), blanks), ''),
                  registry_name
                )
              )
           || replace(
                ',' || substr(
                  -- Twice, as a key may be there twice.
                  json_remove(json_remove(document, '$.description'), '$.description'), 2
                ),
                ',}', '}'
              )
       ) as document
  from (
    select id, registry_name, document,
           char(
             9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194,
             8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288
           ) as blanks,
           case json_type(document)
             when 'object' then (
               select iif(type = 'text', value, '')
                 from json_each(document)
                where key = 'description'
                order by id desc
                limit 1
             )
             else '-'
           end as described
      from server_version
  ) v;

-- The item of one version, and what lists filter by: ` type:npm transport:stdio remote `.
create view server_version_text as
select v.id,
       '{"server":' || s.document
         || ',"_meta":{"io.modelcontextprotocol.registry/official":{"status":"' || v.status
         || '","statusChangedAt":"' || v.status_changed_at
         || iif(
              v.status_message <> '',
              '","statusMessage":' || json_quote(v.status_message) || ',"publishedAt":"',
              '","publishedAt":"'
            )
         || v.published_at
         || '","updatedAt":"' || v.updated_at
         || '","isLatest":' || iif(v.is_latest, 'true', 'false')
         || '}}}' as item,
       coalesce((
         select group_concat(
                  ' ' || kind || replace(replace(word, ' ', ''), ',', ' ' || kind), ''
                )
           from (
             select 'type:' as kind,
                    json_extract(v.document, p.fullkey || '.registryType') as word
               from json_each(v.document, '$.packages') p
              union all
             select 'transport:',
                    json_extract(v.document, p.fullkey || '.transport.type')
               from json_each(v.document, '$.packages') p
              union all
             select 'transport:', json_extract(v.document, r.fullkey || '.type')
               from json_each(v.document, '$.remotes') r
           )
          where word is not null
       ), '')
         || iif(exists (
              select 1
                from json_each(v.document, '$.remotes') r
               where json_type(v.document, r.fullkey || '.type') is not null
            ), ' remote ', ' ') as labels
  from server_version v
  join server_version_shown s on s.id = v.id;

create trigger server_version_item_inserted
  after insert on server_version
begin
  update server_version
     set (item, labels) = (
           select item, labels from server_version_text where id = new.id
         )
   where id = new.id;
end;

create trigger server_version_item_updated
  after update of registry_name, document, status, status_message, published_at,
    updated_at, status_changed_at, is_latest on server_version
begin
  update server_version
     set (item, labels) = (
           select item, labels from server_version_text where id = new.id
         )
   where id = new.id;
end;

-- Whoever loses or gains the mark of the latest changes for those who ask what was updated.
create trigger server_version_latest_moved
  after update of is_latest on server_version
  when old.is_latest <> new.is_latest
   and old.updated_at = new.updated_at
begin
  update server_version
     set updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
   where id = new.id;
end;

update server_version
   set (item, labels) = (
         select item, labels from server_version_text t where t.id = server_version.id
       );

create index server_version_latest_by_name on server_version (registry_name, version)
  where is_latest;

-- All that a list can be filtered by: walking it reads no rows.
create index server_version_by_filter on server_version (
  registry_name, version, status, is_latest, updated_at, labels
);

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'aacd2872cc9513aeb04cf1a4bd39c67be32447c5e88936b0bd886f2a703e7e5b',
  '0009.registry',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
