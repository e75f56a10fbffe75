"""The database's history, for SQLite and PostgreSQL alike. Applied by `python -m storage.migrate`."""
