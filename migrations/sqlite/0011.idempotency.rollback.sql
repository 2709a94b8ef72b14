delete from _yoyo_migration where migration_id = '0011.idempotency';
delete from migration_checksum where migration_id = '0011.idempotency';
drop table kept_answer;
