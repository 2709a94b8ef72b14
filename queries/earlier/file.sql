-- Reading a file of the earlier MCPS, whose tables and columns differ from file to file: the
-- statements that name them are written here by SQLite itself, which knows how to quote.

-- name: file_begin()^
-- Begins a transaction that reads one state of the file.
begin;

-- name: file_settings()^
-- Keeps the connection from writing.
pragma query_only = on;

-- name: file_tables()
-- The tables of the file, without those that SQLite keeps for itself.
select name,
       sql like 'create virtual table%' as is_virtual,
       sql like '%without rowid%' as is_without_rowid
  from sqlite_master
 where type = 'table'
   and name not like 'sqlite\_%' escape '\'
 order by name;

-- name: file_columns(name)
-- The columns of a table with their declared types, as they stand.
select name,
       upper(type) as type,
       pk
  from pragma_table_info(:name)
 order by cid;

-- name: file_counting(name, key)$
-- The statement that counts the rows of a table and gives its greatest key.
select printf('select count(*), max("%w") from "%w"', :key, :name) as statement;

-- name: file_reading(name, key, columns)$
-- The statement that reads the columns of a table in the order of its key.
select printf(
         'select "%w", %s from "%w" order by 1',
         :key,
         (select group_concat(printf('"%w"', value), ', ') from json_each(:columns)),
         :name
       ) as statement;

-- name: file_numbering(name, columns)$
-- The statement that reads a table without rowids and numbers its rows.
select printf(
         'select row_number() over (), %s from "%w"',
         (select group_concat(printf('"%w"', value), ', ') from json_each(:columns)),
         :name
       ) as statement;

-- name: file_choosing(name, key, columns)$
-- The statement that reads the rows whose keys are in a JSON array.
select printf(
         'select "%w", %s from "%w" where "%w" in (select value from json_each(?)) order by 1',
         :key,
         (select group_concat(printf('"%w"', value), ', ') from json_each(:columns)),
         :name,
         :key
       ) as statement;

-- name: file_doubling(name, key, column, newest)$
-- The statement that finds rows with the same value as another, as rules map it: the newest first.
select printf(
         'with row(id, value, at) as materialized (
            select "%w",
                   mapped(%Q, %Q, cast("%w" as blob), typeof("%w")),
                   "%w"
              from "%w"
          ), same as (
            select id,
                   value,
                   at,
                   count(*) over (partition by value) as amount
              from row
             where value is not null
          )
          select id,
                 value
            from same
           where amount > 1
           order by value, mapped(%Q, %Q, cast(at as blob), typeof(at)) desc, id',
         :key,
         :name, :column, :column, :column,
         :newest,
         :name,
         :name, :newest
       ) as statement;

-- name: file_releases()
-- The version of the newest release of each server.
select server_id,
       version,
       max(published_at) as published_at
  from release
 group by server_id
 order by server_id;

-- name: file_owners()
-- The servers that have tools.
select distinct server_id
  from tool
 where server_id is not null
 order by server_id;
