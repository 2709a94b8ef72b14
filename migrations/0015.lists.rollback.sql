call migration_delete('0015.lists');
comment on column server.categories is null;
comment on column server.keywords is null;
