-- An SQLite file keeps lists as they are written here; nothing changes but what is said.

comment on column server.keywords is 'a list, usually of texts';
comment on column server.categories is 'a list, usually of texts';

call migration_put('0015.lists');
