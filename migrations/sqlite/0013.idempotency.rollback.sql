delete from _yoyo_migration where migration_id = '0013.idempotency';
delete from migration_checksum where migration_id = '0013.idempotency';
drop table kept_answer;
