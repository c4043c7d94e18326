"""What a database is filled with: the game's content, when a command asks for it, and by itself where there is none."""

import functools
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gameserver.clock import SystemClock
from gameserver.errors import OperatorError
from gameserver.logs import get_logger
from gameserver.schema import prepare_schema, with_game
from gameserver.settings import Settings
from persistence.errors import Rejected, SetupFailed
from persistence.postgres import Database
from persistence.seed.content_versions import has_content

if TYPE_CHECKING:
    from persistence.seed.content import LoadedTable
    from persistence.seed.players.history import Plan, Report

log = get_logger(__name__)

_EARLIEST = date(2020, 1, 1)


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


def plan(players: int, *, seed: int, days: int, until: date | None) -> "Plan":
    """What is to be made.

    Args:
        players: how many.
        seed: the same makes the same players.
        days: how many days their past has.
        until: its last day (UTC); None = yesterday.

    Raises:
        OperatorError: such a past cannot be.
    """
    from persistence.seed.players.history import Plan

    today = date(1970, 1, 1) + timedelta(days=SystemClock().now_ms() // 86_400_000)
    if until is None:
        until = today - timedelta(days=1)
    if not _EARLIEST <= until <= today:
        raise OperatorError(f"a past ends between {_EARLIEST} and today, {today}; give another --until.")
    return Plan(players, seed, days, until)


def seed_players(settings: Settings, plan: "Plan", report: "Report") -> dict[str, int]:
    """Fill an empty game with players and their past; loads the game's own content where none was ever loaded.

    Args:
        settings: where the database is.
        plan: what is to be made.
        report: is told what is going on, how much of it is done, and how much there is.

    Returns:
        How many rows each table was given.

    Raises:
        SetupFailed: there are players already, or a server is running; no player was added.
        SchemaMismatch: the schema is not the one this server was built for; the sentence names the command.
    """
    from persistence.seed.content import load_shipped_content
    from persistence.seed.players import load

    async def fill(database: Database) -> dict[str, int]:
        await load_shipped_content(database)
        return await load.seed_players(database, plan, emission_scale_pt=settings.emission_scale_pt, report=report)

    return with_game(settings, fill)
