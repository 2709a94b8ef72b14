-- Extensions stay: other schemas of the same database may use them.
select 1;
