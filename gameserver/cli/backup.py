"""`gameserver backup` and `gameserver restore`: the whole game in one file, and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gameserver.cli.app import app, refusing, say
from gameserver.settings import load_settings

if TYPE_CHECKING:
    from persistence.backup import BackupReport


@app.command()
@refusing
def backup(
    file: Annotated[Path, typer.Argument(help="The file to make; an older backup of that name is replaced.")],
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Restore it into a database made for that, and compare.")
    ] = True,
) -> None:
    """Save the database in one file, while the server runs or not, and see that it can be restored."""
    from gameserver.schema import back_up

    report = back_up(load_settings(), file, verify=verify, announce=say)
    say(f"backed up: {_in_numbers(report)}; {'verified by restoring it' if verify else 'not verified'}")
    if report.contents.unreconciled_rows:
        say(f"warning: ledger_reconciliation has {report.contents.unreconciled_rows} rows in the database itself")


@app.command()
@refusing
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `gameserver backup` made.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the game that is in the database.")] = False,
) -> None:
    """Bring the database back from a backup; whatever goes wrong, it is left as it was."""
    from gameserver.schema import lacks_revisions
    from gameserver.schema import restore as bring_back

    report = bring_back(load_settings(), file, force=force, announce=say)
    say(f"restored and verified: {_in_numbers(report)}")
    if lacks_revisions(report):
        say("the backup is of an older schema; run `gameserver migrate up` before the server is started")


def _in_numbers(report: "BackupReport") -> str:
    contents = report.contents
    return (
        f"{report.size_bytes} bytes, {contents.total_rows} rows in {len(contents.rows)} tables, "
        f"schema revision {contents.revisions[-1].revision}, {report.seconds:.1f} s"
    )
