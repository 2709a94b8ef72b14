-- Lists with more than texts and numbers in them stay as they are sent: PostgreSQL writes
-- what is nested in its own way, and taking it apart would make 1 of true.

drop trigger server_keywords_inserted;
drop trigger server_keywords_updated;
drop trigger server_categories_inserted;
drop trigger server_categories_updated;

create trigger server_keywords_inserted
  after insert on server
  when new.keywords <> '[]'
   and not exists (
         select 1
           from json_each(new.keywords)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.keywords <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.keywords)
       )
begin
  update server
     set keywords = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.keywords)
         )
   where id = new.id;
end;

create trigger server_keywords_updated
  after update of keywords on server
  when new.keywords <> '[]'
   and not exists (
         select 1
           from json_each(new.keywords)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.keywords <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.keywords)
       )
begin
  update server
     set keywords = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.keywords)
         )
   where id = new.id;
end;

create trigger server_categories_inserted
  after insert on server
  when new.categories <> '[]'
   and not exists (
         select 1
           from json_each(new.categories)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.categories <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.categories)
       )
begin
  update server
     set categories = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.categories)
         )
   where id = new.id;
end;

create trigger server_categories_updated
  after update of categories on server
  when new.categories <> '[]'
   and not exists (
         select 1
           from json_each(new.categories)
          where type in ('array', 'object', 'true', 'false')
       )
   and new.categories <> (
         select '[' || group_concat(json_quote(value), ', ') || ']'
           from json_each(new.categories)
       )
begin
  update server
     set categories = (
           select '[' || group_concat(json_quote(value), ', ') || ']'
             from json_each(new.categories)
         )
   where id = new.id;
end;

insert into _yoyo_migration (migration_hash, migration_id, applied_at_utc)
values (
  'e7bcf4c721d4de508a1445de39fa2355caaf138fe66d0ceb57cbc3524550506d',
  '0015.lists',
  strftime('%Y-%m-%d %H:%M:%f', 'now')
);
