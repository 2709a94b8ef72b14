drop table processing_log;
drop table source;
drop table api_key;
