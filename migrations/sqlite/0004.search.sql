-- Full-text search: an index of stems to find by, and the words as they are to mend typing
-- errors with. The column weights are those of the queries.

-- Words without which a text means the same: a search leaves them out.
create table search_stop_word (
  word text primary key
) strict, without rowid;

insert into search_stop_word (word)
values
  ('i'), ('me'), ('my'), ('myself'), ('we'), ('our'), ('ours'), ('ourselves'),
  ('you'), ('your'), ('yours'), ('yourself'), ('yourselves'), ('he'), ('him'),
  ('his'), ('himself'), ('she'), ('her'), ('hers'), ('herself'), ('it'), ('its'),
  ('itself'), ('they'), ('them'), ('their'), ('theirs'), ('themselves'), ('what'),
  ('which'), ('who'), ('whom'), ('this'), ('that'), ('these'), ('those'), ('am'),
  ('is'), ('are'), ('was'), ('were'), ('be'), ('been'), ('being'), ('have'), ('has'),
  ('had'), ('having'), ('do'), ('does'), ('did'), ('doing'), ('a'), ('an'), ('the'),
  ('and'), ('but'), ('if'), ('or'), ('because'), ('as'), ('until'), ('while'), ('of'),
  ('at'), ('by'), ('for'), ('with'), ('about'), ('against'), ('between'), ('into'),
  ('through'), ('during'), ('before'), ('after'), ('above'), ('below'), ('to'),
  ('from'), ('up'), ('down'), ('in'), ('out'), ('on'), ('off'), ('over'), ('under'),
  ('again'), ('further'), ('then'), ('once'), ('here'), ('there'), ('when'),
  ('where'), ('why'), ('how'), ('all'), ('any'), ('both'), ('each'), ('few'),
  ('more'), ('most'), ('other'), ('some'), ('such'), ('no'), ('nor'), ('not'),
  ('only'), ('own'), ('same'), ('so'), ('than'), ('too'), ('very'), ('s'), ('t'),
  ('can'), ('will'), ('just'), ('don'), ('should'), ('now');

create virtual table server_search using fts5 (
  name, title, about, tools,
  tokenize = 'porter unicode61 remove_diacritics 0'
);

create virtual table tool_search using fts5 (
  name, about,
  tokenize = 'porter unicode61 remove_diacritics 0'
);

create virtual table server_word using fts5 (
  name, title, about, tools,
  content = 'server_search', detail = none,
  tokenize = 'unicode61 remove_diacritics 0'
);

create virtual table tool_word using fts5 (
  name, about,
  content = 'tool_search', detail = none,
  tokenize = 'unicode61 remove_diacritics 0'
);

create virtual table server_word_use using fts5vocab (server_word, row);
create virtual table tool_word_use using fts5vocab (tool_word, row);

-- The words of the catalog itself, with the number of texts that hold each.
create view search_word as
select term as word, doc as uses
  from server_word_use
 where length(term) between 3 and 40
   and term glob '*[^0-9]*'
   and term not in (select word from search_stop_word)
 union all
select term, doc
  from tool_word_use
 where length(term) between 3 and 40
   and term glob '*[^0-9]*'
   and term not in (select word from search_stop_word);

create table server_path (
  server_id integer primary key references server on delete cascade,
  path text not null
) strict;

-- The words of a name: what follows its last slash, whole and cut at capitals.
create view tool_name as
select id, server_id, part || cut as words
  from (
    select id, server_id, part,
           case
             when part glob '*[a-z0-9][A-Z]*' or part glob '*[A-Z][A-Z][a-z]*' then (
               with recursive part (place, cut) as (
                 select 1, ''
                  union all
                 select place + 1,
                        cut || substr(part, place, 1) || iif(
                          substr(part, place, 2) glob '[a-z0-9][A-Z]'
                            or substr(part, place, 3) glob '[A-Z][A-Z][a-z]',
                          ' ', ''
                        )
                   from part
                  where place <= length(part)
               )
               select ' ' || cut from part order by place desc limit 1
             )
             else ''
           end as cut
      from (
        select id, server_id, substr(substr(name, 1, 1000), 1 + length(rtrim(substr(name, 1, 1000), replace(substr(name, 1, 1000), '/', '')))) as part
          from tool
      )
  );

create view server_name as
select id, part || cut as words
  from (
    select id, part,
           case
             when part glob '*[a-z0-9][A-Z]*' or part glob '*[A-Z][A-Z][a-z]*' then (
               with recursive part (place, cut) as (
                 select 1, ''
                  union all
                 select place + 1,
                        cut || substr(part, place, 1) || iif(
                          substr(part, place, 2) glob '[a-z0-9][A-Z]'
                            or substr(part, place, 3) glob '[A-Z][A-Z][a-z]',
                          ' ', ''
                        )
                   from part
                  where place <= length(part)
               )
               select ' ' || cut from part order by place desc limit 1
             )
             else ''
           end as cut
      from (
        select s.id, own || iif(registered = own, '', ' ' || registered) as part
          from (
            select id,
                   substr(substr(name, 1, 1000), 1 + length(rtrim(substr(name, 1, 1000), replace(substr(name, 1, 1000), '/', '')))) as own,
                   coalesce(substr(substr(registry_name, 1, 1000), 1 + length(rtrim(substr(registry_name, 1, 1000), replace(substr(registry_name, 1, 1000), '/', '')))), '') as registered
              from server
          ) s
      )
  );

create view server_text as
select s.id,
       n.words as name,
       coalesce(s.title, '') as title,
       substr(coalesce(s.description, ''), 1, 10000)
         || ' ' || substr(s.keywords, 1, 10000) as about,
       coalesce((
         select substr(group_concat(t.words, ' '), 1, 100000)
           from tool_name t
          where t.server_id = s.id
       ), '') as tools
  from server s
  join server_name n on n.id = s.id;

create view tool_text as
select t.id,
       n.words as name,
       substr(coalesce(t.description, ''), 1, 10000) as about
  from tool t
  join tool_name n on n.id = t.id;

-- A word list follows the index whose texts it reads: out before they change, in after.
create view server_search_change as
select id, name, title, about, tools from server_text;

create trigger server_search_change
  instead of insert on server_search_change
begin
  insert into server_word (server_word, rowid, name, title, about, tools)
  select 'delete', rowid, name, title, about, tools
    from server_search
   where rowid = new.id;
  delete from server_search where rowid = new.id;
  insert into server_search (rowid, name, title, about, tools)
  select id, name, title, about, tools from server_text where id = new.id;
  insert into server_word (rowid, name, title, about, tools)
  select rowid, name, title, about, tools from server_search where rowid = new.id;
end;

create view tool_search_change as
select id, name, about from tool_text;

create trigger tool_search_change
  instead of insert on tool_search_change
begin
  insert into tool_word (tool_word, rowid, name, about)
  select 'delete', rowid, name, about
    from tool_search
   where rowid = new.id;
  delete from tool_search where rowid = new.id;
  insert into tool_search (rowid, name, about)
  select id, name, about from tool_text where id = new.id;
  insert into tool_word (rowid, name, about)
  select rowid, name, about from tool_search where rowid = new.id;
end;

create view server_path_text as
select id,
       lower(
         iif(registry_name is null, '', registry_name || ' ')
         || substr(rest, iif(lower(substr(rest, 1, 4)) = 'www.', 5, 1))
       ) as path
  from (
    select id, registry_name,
           substr(primary_url, iif(
             instr(primary_url, '://') > 1
               and substr(primary_url, 1, instr(primary_url, '://') - 1)
                   not glob '*[^a-zA-Z]*',
             instr(primary_url, '://') + 3, 1
           )) as rest
      from server
  );

create trigger server_search_inserted
  after insert on server
begin
  insert into server_search_change (id) values (new.id);
  insert into server_path (server_id, path)
  select id, path from server_path_text where id = new.id;
end;

create trigger server_search_updated
  after update of name, registry_name, title, description, keywords on server
  when (old.name, old.registry_name, old.title, old.description, old.keywords)
    is not (new.name, new.registry_name, new.title, new.description, new.keywords)
begin
  insert into server_search_change (id) values (new.id);
end;

create trigger server_path_updated
  after update of registry_name, primary_url on server
  when (old.registry_name, old.primary_url) is not (new.registry_name, new.primary_url)
begin
  update server_path
     set path = (select path from server_path_text where id = new.id)
   where server_id = new.id;
end;

create trigger server_search_deleted
  after delete on server
begin
  insert into server_search_change (id) values (old.id);
end;

create trigger tool_search_inserted
  after insert on tool
begin
  insert into tool_search_change (id) values (new.id);
  insert into server_search_change (id) values (new.server_id);
end;

create trigger tool_search_updated
  after update of name, description, server_id on tool
  when (old.name, old.description, old.server_id)
    is not (new.name, new.description, new.server_id)
begin
  insert into tool_search_change (id) values (new.id);
  insert into server_search_change (id) values (old.server_id);
  insert into server_search_change (id) values (new.server_id);
end;

create trigger tool_search_deleted
  after delete on tool
begin
  insert into tool_search_change (id) values (old.id);
  insert into server_search_change (id) values (old.server_id);
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'b31c591774e6e50f4fc81cb5ae669759aa6f91c19d27ea17dc987ca45300df36',
  '0004.search',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
