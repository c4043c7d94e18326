"""`gameserver seed`: what a database is filled with."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rich.progress
import rich.table
import typer
from rich.console import Console

from gameserver.cli.app import app, compiled, refusing, say
from gameserver.errors import OperatorError
from gameserver.settings import load_settings

if TYPE_CHECKING:
    from persistence.seed.content import LoadedTable


@app.command()
@refusing
def seed(
    content: Annotated[
        bool, typer.Option("--content", help="The game's content: missions, story, achievements …, from data files.")
    ] = False,
    content_dir: Annotated[
        Path | None, typer.Option(help="With --content: a folder of your own data files (docs/content.md).")
    ] = None,
    players: Annotated[
        int, typer.Option(min=0, max=10_000_000, help="So many made-up players with a past, into an empty game.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="With --players: another number makes other players.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=365, help="With --players: how many days their past has.")] = 30,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="With --players: its last day (UTC).", show_default="yesterday"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --players: also where GAME_ENV is production.")] = False,
) -> None:
    """Fill the database; what is there already is not loaded twice."""
    if not content and not players:
        raise OperatorError(
            "say what to fill the database with: --content, with --content-dir for files of your own, or --players N."
        )
    settings, seeding = load_settings(), compiled("seeding")
    if players and not (settings.is_dev or force):
        raise OperatorError(
            "made-up players stay for ever in a production database's ledger and boards; add --force if you mean it."
        )
    if content:
        _show_loaded(seeding.seed_content(settings, content_dir))
    if players:
        plan = seeding.plan(players, seed=seed, days=days, until=until and until.date())
        say(f"{players} players with {days} days until {plan.until}, from seed {seed}")
        began_s = time.perf_counter()
        with _progress() as report:
            rows = seeding.seed_players(settings, plan, report)
        _show_rows(rows, time.perf_counter() - began_s)


def _show_loaded(tables: Sequence["LoadedTable"]) -> None:
    done = ("added", "changed", "retired", "removed")
    table = rich.table.Table(
        "content", *(rich.table.Column(name, justify="right") for name in ("entries", *done)), box=None
    )
    for loaded in tables:
        counts = [getattr(loaded, name) for name in done]
        table.add_row(loaded.table, str(loaded.entries), *(str(count or "") for count in counts))
    Console().print(table)
    if not any(getattr(loaded, name) for loaded in tables for name in done):
        say("nothing to do: this content is already there")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for each thing that is being done."""
    bars = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, rich.progress.TaskID] = {}
    with bars:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=None)
            bars.update(tasks[phase], completed=done, total=total or None)

        yield report


def _show_rows(rows: dict[str, int], took_s: float) -> None:
    table = rich.table.Table("table", rich.table.Column("rows", justify="right"), box=None)
    for name, count in rows.items():
        if count:
            table.add_row(name, f"{count:,}".replace(",", " "))
    Console().print(table)
    say(f"{sum(rows.values())} rows in {took_s:.1f} s")
