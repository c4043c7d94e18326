"""`gameserver seed`: what a database is filled with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
) -> None:
    """Fill the database; what is there already is not loaded twice."""
    if not content:
        raise OperatorError("say what to fill the database with: --content, with --content-dir for files of your own.")
    _show_loaded(compiled("seeding").seed_content(load_settings(), content_dir))


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
