"""What a database is filled with: the game's content, when a command asks for it, and by itself where there is none."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from gameserver.logs import get_logger
from gameserver.schema import prepare_schema, with_game
from gameserver.settings import Settings
from persistence.errors import Rejected, SetupFailed
from persistence.postgres import Database
from persistence.seed.content_versions import has_content

if TYPE_CHECKING:
    from persistence.seed.content import LoadedTable

log = get_logger(__name__)


async def prepare_database(database: Database, settings: Settings) -> None:
    """Prepare the schema, and load the game's own content into a database of ours that never had any.

    Content that is there is left alone, whoever loaded it; rows that are in the way are no reason not to start.

    Raises:
        SchemaMismatch: the schema is not the one this server was built for; the sentence names the command.
    """
    if not await prepare_schema(database, settings) or await has_content(database):
        return
    from persistence.seed.content import load_shipped_content  # not what every start has to import

    try:
        await load_shipped_content(database)
    except (SetupFailed, Rejected) as error:
        log.warning("the game's own content is not loaded; see `gameserver seed --content`", reason=str(error))


def seed_content(settings: Settings, folder: Path | None) -> list["LoadedTable"]:
    """Make the database's content what the files of `folder` hold (None: the game's own).

    Returns:
        What was done to each table.

    Raises:
        SetupFailed: the files are wrong, or do not fit what is loaded; nothing was changed.
        SchemaMismatch: the schema is not the one this server was built for; the sentence names the command.
    """
    from persistence.seed.content import load_content
    from persistence.seed.content_checks import read_content
    from persistence.seed.content_files import SHIPPED

    content = read_content(SHIPPED if folder is None else folder)

    return with_game(settings, functools.partial(load_content, content=content))
