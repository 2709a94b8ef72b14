call migration_delete('0008.count');
drop view server_detail;
drop function server_count_move() cascade;
drop function server_count_change() cascade;
drop table server_count;
