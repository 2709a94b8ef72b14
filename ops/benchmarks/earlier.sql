-- What a file of the earlier MCPS looks like, and how rows get into it.

-- name: file_tables()#
-- The tables as that program made them, as far as the benchmark fills them.
create table alembic_version (
  version_num varchar(32) not null
);
create table server (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  uuid char(32) not null,
  name varchar not null,
  primary_url varchar not null,
  host_type varchar(6) not null,
  description text,
  author_name varchar,
  homepage varchar,
  license varchar,
  readme_content text,
  keywords json,
  categories json,
  stars integer not null,
  downloads integer not null,
  forks integer not null,
  open_issues integer not null,
  risk_level varchar(8) not null,
  verified_source boolean not null,
  health_score integer not null,
  last_indexed_at datetime not null
);
create table tool (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  name varchar not null,
  description text,
  input_schema json
);
create table toolembedding (
  id integer not null primary key,
  tool_id integer not null,
  vector json,
  model_name varchar not null
);
create table resourcetemplate (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  uri_template varchar not null,
  name varchar,
  mime_type varchar,
  description varchar
);
create table prompt (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  name varchar not null,
  description varchar,
  arguments json
);
create table dependency (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  library_name varchar not null,
  version_constraint varchar,
  ecosystem varchar not null,
  type varchar(7) not null
);
create table release (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  version varchar not null,
  changelog text,
  published_at datetime not null
);
create table contributor (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  server_id integer not null,
  username varchar not null,
  platform varchar not null,
  commits integer not null
);
create table processinglog (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  url varchar not null,
  status varchar not null,
  attempts integer not null,
  last_attempt_at datetime,
  error_message text
);
create table social_posts (
  created_at datetime not null,
  updated_at datetime not null,
  id integer not null primary key,
  uuid char(32) not null,
  platform varchar(14) not null,
  post_id varchar not null,
  url varchar not null,
  title varchar,
  content varchar not null,
  author varchar not null,
  author_url varchar,
  score integer not null,
  comment_count integer not null,
  share_count integer not null,
  view_count integer,
  category varchar(14),
  sentiment varchar(13),
  language varchar not null,
  mentioned_servers json,
  mentioned_urls json,
  platform_created_at datetime not null,
  is_pinned boolean not null,
  is_locked boolean not null,
  is_deleted boolean not null,
  subreddit varchar,
  reddit_flair varchar,
  twitter_hashtags json,
  twitter_mentions json,
  is_retweet boolean not null,
  retweet_count integer not null,
  discord_server varchar,
  discord_channel varchar,
  relevance_score float,
  quality_score integer
);
create index ix_processinglog_status on processinglog (status);
create unique index ix_processinglog_url on processinglog (url);
create index ix_server_host_type on server (host_type);
create index ix_server_name on server (name);
create unique index ix_server_primary_url on server (primary_url);
create index ix_server_stars on server (stars);
create unique index ix_server_uuid on server (uuid);
create index ix_dependency_library_name on dependency (library_name);
create index ix_release_version on release (version);
create index ix_social_posts_author on social_posts (author);
create index ix_social_posts_category on social_posts (category);
create index ix_social_posts_platform on social_posts (platform);
create index ix_social_posts_platform_created_at on social_posts (platform_created_at);
create unique index ix_social_posts_post_id on social_posts (post_id);
create index ix_social_posts_quality_score on social_posts (quality_score);
create index ix_social_posts_relevance_score on social_posts (relevance_score);
create index ix_social_posts_score on social_posts (score);
create index ix_social_posts_sentiment on social_posts (sentiment);
create index ix_social_posts_subreddit on social_posts (subreddit);
create index ix_social_posts_url on social_posts (url);
create unique index ix_social_posts_uuid on social_posts (uuid);

-- name: alembic_version_insert()!
-- Puts one row in.
insert into alembic_version (
  version_num
)
values (?);

-- name: server_insert()!
-- Puts one row in.
insert into server (
  created_at, updated_at, id, uuid, name, primary_url, host_type, description,
  author_name, homepage, license, readme_content, keywords, categories, stars,
  downloads, forks, open_issues, risk_level, verified_source, health_score,
  last_indexed_at
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: tool_insert()!
-- Puts one row in.
insert into tool (
  created_at, updated_at, id, server_id, name, description, input_schema
)
values (?, ?, ?, ?, ?, ?, ?);

-- name: toolembedding_insert()!
-- Puts one row in.
insert into toolembedding (
  id, tool_id, vector, model_name
)
values (?, ?, ?, ?);

-- name: resourcetemplate_insert()!
-- Puts one row in.
insert into resourcetemplate (
  created_at, updated_at, id, server_id, uri_template, name, mime_type, description
)
values (?, ?, ?, ?, ?, ?, ?, ?);

-- name: prompt_insert()!
-- Puts one row in.
insert into prompt (
  created_at, updated_at, id, server_id, name, description, arguments
)
values (?, ?, ?, ?, ?, ?, ?);

-- name: dependency_insert()!
-- Puts one row in.
insert into dependency (
  created_at, updated_at, id, server_id, library_name, version_constraint, ecosystem,
  type
)
values (?, ?, ?, ?, ?, ?, ?, ?);

-- name: release_insert()!
-- Puts one row in.
insert into release (
  created_at, updated_at, id, server_id, version, changelog, published_at
)
values (?, ?, ?, ?, ?, ?, ?);

-- name: contributor_insert()!
-- Puts one row in.
insert into contributor (
  created_at, updated_at, id, server_id, username, platform, commits
)
values (?, ?, ?, ?, ?, ?, ?);

-- name: processinglog_insert()!
-- Puts one row in.
insert into processinglog (
  created_at, updated_at, id, url, status, attempts, last_attempt_at, error_message
)
values (?, ?, ?, ?, ?, ?, ?, ?);

-- name: social_posts_insert()!
-- Puts one row in.
insert into social_posts (
  created_at, updated_at, id, uuid, platform, post_id, url, title, content, author,
  author_url, score, comment_count, share_count, view_count, category, sentiment,
  language, mentioned_servers, mentioned_urls, platform_created_at, is_pinned,
  is_locked, is_deleted, subreddit, reddit_flair, twitter_hashtags, twitter_mentions,
  is_retweet, retweet_count, discord_server, discord_channel, relevance_score,
  quality_score
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
