-- The parts of a whole server: what a list shows of it, its README, and how much belongs
-- to it. An index of each child table counts what there is.

create view server_detail as
select s.id,
       s.doc,
       s.readme_content,
       '{"tools":'
         || (select count(*) from tool where server_id = s.id)
         || ',"resources":'
         || (select count(*) from resource_template where server_id = s.id)
         || ',"prompts":'
         || (select count(*) from prompt where server_id = s.id)
         || ',"dependencies":'
         || (select count(*) from dependency where server_id = s.id)
         || ',"releases":'
         || (select count(*) from release where server_id = s.id)
         || ',"contributors":'
         || (select count(*) from contributor where server_id = s.id)
         || ',"versions":'
         || (select count(*) from server_version where server_id = s.id)
         || '}' as counts
  from server s;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  '9c75fa2eb111a32748924e4fa3a3c0df893b4ebc1443b7c930d115b9480c69de',
  '0008.count',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
