"""`gameserver migrate`: the schema from revision to revision."""

from collections.abc import Sequence
from typing import Annotated

import rich.table
import typer
from rich.console import Console

from gameserver.cli.app import app, refusing, say
from gameserver.errors import OperatorError
from gameserver.settings import load_settings

migrate = typer.Typer(help="The database's schema: status, up, down, check, accept.", no_args_is_help=True)
app.add_typer(migrate, name="migrate")


@migrate.command("status")
@refusing
def migrate_status() -> None:
    """Show every revision and whether it is applied, and what was changed by hand."""
    from gameserver.schema import status

    table = rich.table.Table("revision", "name", "state", box=None)
    revisions, drift = status(load_settings())
    for revision in revisions:
        state = "applied" if revision.applied_at_ms else "not applied"
        if revision.drifted:
            state = "applied from another text: drift"
        elif not revision.known:
            state = "applied by a newer server"
        table.add_row(revision.id, revision.name, state)
    Console().print(table)
    for difference in drift:
        say(f"changed by hand: {difference}")


@migrate.command("up")
@refusing
def migrate_up(
    revision: Annotated[str | None, typer.Argument(help="Up to this revision; all, if left out.")] = None,
) -> None:
    """Apply what is missing."""
    from gameserver.schema import up

    _say_moved("applied", up(load_settings(), revision))


@migrate.command("down")
@refusing
def migrate_down(
    revision: Annotated[str, typer.Argument(help="Back to this revision, or to `base`: nothing.")],
    yes: Annotated[bool, typer.Option("--yes", help="Even if rows are lost by it.")] = False,
) -> None:
    """Take revisions back; their data goes with them, which needs --yes where there is any."""
    from gameserver.schema import down, losses

    settings = load_settings()
    lost = ", ".join(f"{name} ({rows})" for name, rows in losses(settings, revision).items())
    if lost and not yes:
        raise OperatorError(f"these rows would be lost: {lost}; if they may be, say so with --yes.")
    _say_moved("taken back", down(settings, revision))
    if lost:
        say(f"lost: {lost}")


@migrate.command("check")
@refusing
def migrate_check() -> None:
    """Succeed if the schema is the one this server was built for."""
    from gameserver.schema import inspect

    say(inspect(load_settings()))


@migrate.command("accept")
@refusing
def migrate_accept() -> None:
    """Take the schema as it is for the right one, after a change by hand that was meant."""
    from gameserver.schema import accept

    different = accept(load_settings())
    say(f"accepted: {', '.join(different)}" if different else "nothing to do: the schema is as it should be")


def _say_moved(what: str, revisions: Sequence[str]) -> None:
    say(f"{what}: {', '.join(revisions)}" if revisions else "nothing to do: the schema is already there")
