-- Queries of `mcps check`: what an installation looks like from inside its file.

-- name: inspection_catalog()^
-- What is stored.
select (select count(*) from server) as servers,
       (select count(*) from server_version) as versions,
       (select count(*) from tool) as tools;
