call migration_delete('0011.risk');
drop table risk_fact;
