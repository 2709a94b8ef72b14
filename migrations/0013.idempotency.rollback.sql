call migration_delete('0013.idempotency');
drop table kept_answer;
