call migration_delete('0011.idempotency');
drop table kept_answer;
