-- Queries of `mcps migrate`, which runs them on a connection of its own.

-- name: migration_table_exists(name)$
-- Whether a table of the migrations is there.
select exists (
  select 1 from sqlite_master where type = 'table' and name = :name
) as is_there;

-- name: migration_rows()
-- The applied migrations.
select migration_id as name,
       strftime('%Y-%m-%dT%H:%M:%SZ', applied_at_utc) as applied_at
  from _yoyo_migration
 order by migration_id;

-- name: migration_checksum_rows()
-- The checksums of the applied migrations as they were recorded.
select migration_id as name, sha256
  from migration_checksum;

-- name: migration_checksum_put(name, sha256)!
-- Records what an applied migration looks like.
insert into migration_checksum (migration_id, sha256)
values (:name, :sha256)
    on conflict do nothing;
