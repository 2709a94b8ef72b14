drop table risk_fact;
delete from _yoyo_migration where migration_id = '0011.risk';
delete from migration_checksum where migration_id = '0011.risk';
