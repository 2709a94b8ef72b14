-- What the catalog knows of its own migrations. Each of them ends by entering itself here,
-- in its own transaction. yoyo does that in a second one: killed between the two, it would
-- leave a schema that says it is not there.

create table migration_checksum (
  migration_id text collate "C" primary key,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  recorded_at timestamptz not null default now()
);

create function migration_keep_first() returns trigger
  language plpgsql
as $$
begin
  if exists (select from _yoyo_migration where migration_hash = new.migration_hash) then
    return null;
  end if;
  return new;
end
$$;

create trigger migration_keep_first
  before insert on _yoyo_migration
  for each row execute function migration_keep_first();

create procedure migration_put(name text)
  language sql
as $$
  insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
  values (
    encode(sha256(convert_to(name, 'UTF8')), 'hex'),
    name,
    now() at time zone 'utc'
  );
$$;

create procedure migration_delete(name text)
  language sql
as $$
  delete from _yoyo_migration where migration_id = name;
  delete from migration_checksum where migration_id = name;
$$;

call migration_put('0000.migration');
