call migration_delete('0011.publish');
drop index server_version_by_remote;
drop function registry_remotes(json);
