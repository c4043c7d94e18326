"""PostgreSQL: the one door to it, write-behind, stores, migrations, the embedded server."""
