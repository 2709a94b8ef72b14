delete from _yoyo_migration where migration_id = '0012.idempotency';
delete from migration_checksum where migration_id = '0012.idempotency';
drop table kept_answer;
