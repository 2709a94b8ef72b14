-- Full text search, and the words of the catalog that mend a mistyped search.

-- name: search_page(words, pattern, is_ranked, wanted)^
-- The best servers and tools as JSON, and the number of all that match.
with asked as materialized (
  select search_query(:words::text) as query
), servers as materialized (
  select s.doc,
         found.matches,
         found.place
    from asked,
         server_ranked(
           asked.query, :is_ranked::boolean, :pattern::text, :wanted::bigint
         ) with ordinality found (id, matches, place)
    join server s on s.id = found.id
), tools as materialized (
  select t.doc,
         found.matches,
         found.place
    from asked,
         tool_ranked(asked.query, :wanted::bigint) with ordinality found (id, matches, place)
    join tool_item t on t.id = found.id
   where :pattern::text is null
), total as (
  select coalesce((select max(matches) from servers), 0)
           + coalesce((select max(matches) from tools), 0) as matches
)
select '{"servers":['
         || coalesce((select string_agg(doc, ',' order by place) from servers), '')
         || '],"tools":['
         || coalesce((select string_agg(doc, ',' order by place) from tools), '')
         || '],"total":' || total.matches || '}' as body,
       total.matches
  from total;

-- name: search_word_unknown(words)
-- Those of some words that find nothing on their own.
select word.ways ->> 0 as word
  from jsonb_array_elements(:words::text::jsonb) word (ways)
 where not search_is_known(search_query(jsonb_build_array(word.ways)::text));

-- name: search_word_near(word, edits)
-- Words that may have been meant: a step away, begun with it, like it, begun like it.
select w.word,
       w.uses
  from search_word w
 where w.word = any(array(select jsonb_array_elements_text(:edits::text::jsonb)))
 union
(
  select w.word,
         w.uses
    from search_word w
   where char_length(:word::text) >= 3
     and w.word > :word::text
     and w.word < :word::text || chr(1114111)
   order by w.uses desc
   limit 5
)
 union
(
  select w.word,
         w.uses
    from search_word w
   where w.word % :word::text
     and similarity(w.word, :word::text) >= 0.3
   order by similarity(w.word, :word::text) desc,
            w.uses desc
   limit 10
)
 union
(
  select w.word,
         w.uses
    from search_word w
   where w.word > left(:word::text, 2)
     and w.word < left(:word::text, 2) || chr(1114111)
     and abs(char_length(w.word) - char_length(:word::text)) <= 2
   order by similarity(w.word, :word::text) desc,
            w.uses desc
   limit 10
);

-- name: search_word_recount()!
-- Counts in how many texts each word occurs by its stem; forgets words that none has.
with stem as materialized (
  select word,
         sum(ndoc) as uses
    from (
      select word, ndoc from ts_stat('select words from server_search')
       union all
      select word, ndoc from ts_stat('select words from tool_search')
    ) text
   group by word
), counted as materialized (
  select w.ctid as place,
         w.uses,
         stem.uses as uses_now,
         row_number() over (partition by w.word order by w.ctid) as turn
    from search_word w
    left join stem
      on stem.word = (tsvector_to_array(to_tsvector('english', w.word)))[1]
   where pg_try_advisory_xact_lock(hashtextextended('mcps recount', 0))
), gone as (
  delete from search_word
   where ctid = any(array(
           select place from counted where uses_now is null or turn > 1
         ))
)
update search_word w
   set uses = counted.uses_now
  from counted
 where w.ctid = counted.place
   and counted.turn = 1
   and counted.uses <> counted.uses_now;
