"""Whether there is content; apart from what loads it, so that a start that finds some has little to import."""

from persistence.postgres import Connection, Database


async def has_content(database: Database) -> bool:
    """Whether content was ever loaded."""
    return await database.run(content_was_loaded)


async def content_was_loaded(connection: Connection) -> bool:
    """Asyncio-flavoured: the same, inside a transaction."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM content_versions)"))
