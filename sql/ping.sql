-- Is the database there, and can the tables be read?
SELECT COUNT(*) AS found FROM schema_migrations
