-- What a connection to the file needs: settings, temporary tables, transactions.

-- name: connection_begin()!
-- Begins a transaction that writes, when it is its turn; all that it changes is one set.
begin immediate;
update serial
   set is_held = 1;

-- name: connection_begin_read()^
-- Begins a transaction that reads one state of the file.
begin;

-- name: connection_commit()!
-- Ends a transaction and keeps what it did.
update serial
   set is_held = 0,
       set_id = null;
commit;

-- name: connection_rollback()^
-- Ends a transaction and undoes what it did.
rollback;

-- name: connection_is_log()^
-- Lets readers and one writer work side by side, for ever after.
pragma journal_mode = wal;

-- name: connection_settings()^
-- Checks references, and confirms a commit only when it is on the disk.
pragma foreign_keys = on;
pragma synchronous = full;
pragma temp_store = memory;

-- name: connection_reads()^
-- Keeps a connection for readers from writing.
pragma query_only = on;

-- name: connection_writes()!
-- The temporary tables that writing queries use.
create temporary table if not exists load_server (
  registry_name text not null primary key,
  base_url text not null,
  latest_version text not null,
  profile text not null
);
create temporary table if not exists load_version (
  registry_name text not null,
  version text not null,
  document text not null,
  status text not null,
  status_message text,
  published_at text not null,
  source_updated_at text,
  status_changed_at text not null,
  precedence text not null,
  content_hash blob not null,
  problems text not null,
  is_again integer not null,
  primary key (registry_name, version)
);
create temporary table if not exists admin_fitting (
  id integer primary key,
  after text not null,
  is_changed integer not null
);

-- name: connection_load_server(registry_name, base_url, latest_version, profile)!
-- One row of a bulk load of servers.
insert into load_server (registry_name, base_url, latest_version, profile)
values (:registry_name, :base_url, :latest_version, :profile);

-- name: connection_load_version(registry_name, version, document, status, status_message, published_at, source_updated_at, status_changed_at, precedence, content_hash, problems, is_again)!
-- One row of a bulk load of versions.
insert into load_version (
  registry_name, version, document, status, status_message, published_at,
  source_updated_at, status_changed_at, precedence, content_hash, problems, is_again
)
values (
  :registry_name, :version, :document, :status, :status_message, :published_at,
  :source_updated_at, :status_changed_at, :precedence, :content_hash, :problems,
  :is_again
);

-- name: connection_check()^
-- What is wrong inside the file; `ok` when nothing is.
pragma quick_check(1);

-- name: connection_tables()
-- The tables of the file.
select name
  from sqlite_master
 where type = 'table';

-- name: connection_server()^
-- What serves the file.
select sqlite_version() as version,
       (select journal_mode from pragma_journal_mode) as journal_mode,
       (select page_count from pragma_page_count)
         * (select page_size from pragma_page_size) as size_bytes;
