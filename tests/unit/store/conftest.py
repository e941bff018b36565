"""The store's tests run on both databases."""

from tests.databases import database, database_url, empty_database_url, postgres, postgres_template

__all__ = ["database", "database_url", "empty_database_url", "postgres", "postgres_template"]
