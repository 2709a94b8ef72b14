call migration_delete('0012.idempotency');
drop table kept_answer;
