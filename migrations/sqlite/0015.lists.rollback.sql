delete from _yoyo_migration where migration_id = '0015.lists';
delete from migration_checksum where migration_id = '0015.lists';

drop trigger server_keywords_inserted;
drop trigger server_keywords_updated;
drop trigger server_categories_inserted;
drop trigger server_categories_updated;

create trigger server_keywords_inserted
  after insert on server
  when new.keywords <> '[]'
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
