-- Full text search, and the words of the catalog that mend a mistyped search.

-- name: search_page(words, pattern, is_ranked, wanted)^
-- The best servers and tools as JSON, and the number of all that match.
with asked as materialized (
  select coalesce(group_concat('(' || ways || ')', ' AND '), '""') as query
    from (select group_concat('(' || tokens || ')', ' OR ') as ways
            from (select w.key as place, group_concat('"' || t.value || '"', ' AND ') as tokens
                    from json_each(:words) w, json_each(w.value) y,
                         json_each('["' || replace(y.value, ' ', '","') || '"]') t
                   where lower(t.value) not in (select word from search_stop_word)
                   group by w.key, y.key)
           group by place)
), found as materialized (
  select rowid as id, bm25(server_search, 10, 5, 2, 1) as rank
    from server_search
   where :pattern is null and server_search match (select query from asked)
   union all
  select server_id, 0
    from (select p.server_id from server_path p join server s on s.id = p.server_id
           where :pattern is not null and p.path like :pattern escape '\'
           order by s.stars desc, s.id desc limit 500)
   where (select query from asked) = '""'
      or server_id in (select rowid from server_search
                        where server_search match (select query from asked))
), best as materialized (
  select s.doc from found f join server s on s.id = f.id
   order by :is_ranked and f.id in (select rowid from server_search where server_search
              match (select '{name title} : (' || query || ')' from asked)) desc,
            iif(:is_ranked, f.rank, 0), s.stars desc, s.id
   limit :wanted
), tool_found as materialized (
  select rowid as id, bm25(tool_search, 10, 2) as rank from tool_search
   where :pattern is null and tool_search match (select query from asked)
), total as (
  select (select min(count(*), 10000) from found)
           + (select min(count(*), 10000) from tool_found) as matches)
select '{"servers":[' || coalesce((select group_concat(doc, ',') from best), '')
         || '],"tools":[' || coalesce((select group_concat(doc, ',') from (
           select t.doc from tool_found f join tool_item t using (id)
            order by f.rank, f.id limit :wanted)), '') || '],"total":' || matches || '}' as body,
       matches
  from total;

-- name: search_word_unknown(words)
-- Those of some words that find nothing on their own.
select w.value ->> 0 as word
  from json_each(:words) w
 where lower(w.value ->> 0) not in (select word from search_stop_word)
   and not exists (
         select 1
           from json_each(w.value) way
          where exists (select 1 from server_search('"' || way.value || '"'))
             or exists (select 1 from tool_search('"' || way.value || '"'))
       );

-- name: search_word_near(word, edits)
-- Words that may have been meant: a step away, begun with it, like it, begun like it.
select word, sum(uses) as uses
  from (
    select word, uses
      from search_word
     where word in (select value from json_each(:edits))
     union all
    select word, uses
      from (
        select word, uses
          from search_word
         where length(:word) >= 3
           and word > :word
           and word < :word || char(1114111)
         order by uses desc
         limit 5
      )
     union all
    select word, uses
      from (
        select word, uses
          from search_word
         where abs(length(word) - length(:word)) <= 3
           and similarity(word, :word) >= 0.3
         order by similarity(word, :word) desc, uses desc
         limit 10
      )
  )
 group by word;

-- name: search_word_recount()!
-- Puts the parts of the word lists together; they count by themselves.
insert into server_word (server_word) values ('optimize');
insert into tool_word (tool_word) values ('optimize');
