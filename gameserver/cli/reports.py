"""`gameserver report` and `gameserver reconcile`: the database as operators look at it."""

import csv
import functools
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import rich.table
import typer
from rich.console import Console

from gameserver.cli.app import app, refusing, say
from gameserver.errors import OperatorError
from gameserver.settings import load_settings


@app.command()
@refusing
def report(
    name: Annotated[str | None, typer.Argument(help="Which one; all their names, if left out.")] = None,
    player: Annotated[UUID | None, typer.Option(help="Only what concerns this player (public id).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many rows.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, for a spreadsheet.")] = False,
) -> None:
    """Show what the database knows of players, boards, the economy and more, in a table."""
    from gameserver.schema import with_game
    from persistence.operator_store import REPORTS, describe_reports, read_report

    settings = load_settings()
    if name is None:
        table = rich.table.Table("report", "what it shows", box=None)
        for each, meaning in with_game(settings, describe_reports).items():
            table.add_row(each, meaning)
        Console().print(table)
        return
    chosen = REPORTS.get(name)
    if chosen is None:
        raise OperatorError(f"there is no report {name}; choose from {', '.join(REPORTS)}.")
    if player is not None and not chosen.by_player:
        raise OperatorError(f"the report {name} is not by player; leave --player out.")
    found = with_game(settings, functools.partial(read_report, report=chosen, limit=limit, player=player))
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(found.columns)
        writer.writerows([_shown(value) for value in row] for row in found.rows)
        return
    if not found.rows:
        say("nothing to show")
        return
    _show(found.columns, [[_shown(value) for value in row] for row in found.rows])
    if found.more:
        say(f"the first {limit}; --limit shows more")


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table where the terminal is wide enough for it, else a line for each value: nothing is cut off."""
    console = Console()
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) <= console.width:
        table = rich.table.Table(*columns, box=None)
        for row in rows:
            table.add_row(*map(rich.markup.escape, row))
        console.print(table)
        return
    name_width = max(map(len, columns))
    for row in rows:
        say("\n".join(f"{name:{name_width}}  {value}" for name, value in zip(columns, row, strict=True)) + "\n")


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"  # UTC, as everything
    return "" if value is None else str(value)


@app.command()
@refusing
def reconcile() -> None:
    """Check that balances, ledger, counts and logs agree; exit 1 and say what does not."""
    from gameserver.schema import with_game
    from persistence import operator_store

    found = with_game(load_settings(), operator_store.reconcile)
    if not found:
        say("everything agrees")
        return
    table = rich.table.Table("what should be so", "of", "expected", "found", box=None)
    for one in found:
        table.add_row(one.invariant, one.subject, one.expected, one.found)
    Console().print(table)
    raise typer.Exit(1)
