drop index if exists tool_embedding_nearest;
