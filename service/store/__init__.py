"""All database access."""
