-- Extensions stay: other schemas of the same database may use them.
call migration_delete('0001.extensions');
