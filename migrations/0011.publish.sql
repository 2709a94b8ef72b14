-- Publishing: which server is reached at a URL is asked before each one.

-- The URLs of the remotes, as a list.
create function registry_remotes(document json) returns jsonb
  language sql immutable parallel safe
  return jsonb_path_query_array(document::jsonb, '$.remotes[*].url');

create index server_version_by_remote on server_version
  using gin (registry_remotes(document))
  with (fastupdate = off);

call migration_put('0011.publish');
