call migration_delete('0005.vector');
drop procedure optional_extensions();
drop index if exists tool_embedding_nearest;
