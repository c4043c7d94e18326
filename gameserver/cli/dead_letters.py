"""`gameserver dead-letters`: what the database refused for good."""

import functools
from typing import Annotated

import msgspec
import typer

from gameserver.cli.app import app, refusing, say
from gameserver.errors import OperatorError
from gameserver.settings import load_settings

letters = typer.Typer(help="What the database refused for good: list, show, retry, discard.", no_args_is_help=True)
app.add_typer(letters, name="dead-letters")

LetterId = Annotated[int, typer.Argument(min=1, help="Of the letter (`dead-letters list`).")]


@letters.command("list")
@refusing
def list_all(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, the latest first.")] = 50,
) -> None:
    """List the open letters."""
    from gameserver.schema import with_game
    from persistence.dead_letters import list_letters

    found = with_game(load_settings(), functools.partial(list_letters, everything=everything, limit=limit))
    if not found:
        say("there are none")
    for letter in found:
        why = letter.constraint or letter.sqlstate or "a bug"
        say(f"{letter.id}  {letter.refused_at:%Y-%m-%d %H:%M:%S}  {letter.state}  {letter.player or '-'}  {why}")


@letters.command("show")
@refusing
def show(letter: LetterId) -> None:
    """Show a letter with everything that was to be written, as JSON."""
    from gameserver.schema import with_game
    from persistence.dead_letters import show_letter

    found, content = with_game(load_settings(), functools.partial(show_letter, letter_id=letter))
    told = {
        "id": found.id,
        "refused_at": found.refused_at,
        "state": found.state,
        "player": found.player,
        "sqlstate": found.sqlstate,
        "constraint": found.constraint,
        "error": found.error,
        "writes": content,
    }
    say(msgspec.json.format(msgspec.json.encode(told)).decode())


@letters.command("retry")
@refusing
def retry(letter: LetterId) -> None:
    """Write a letter after all; only while nothing of its player has been written since."""
    from gameserver.schema import with_game
    from persistence.dead_letters import retry_letter
    from persistence.errors import Rejected

    try:
        with_game(load_settings(), functools.partial(retry_letter, letter_id=letter))
    except Rejected as error:
        raise OperatorError(f"it is refused again, and nothing has changed: {error}") from None
    say(f"written: dead letter {letter}")


@letters.command("discard")
@refusing
def discard(letter: LetterId) -> None:
    """Close a letter unwritten."""
    from gameserver.schema import with_game
    from persistence.dead_letters import discard_letter

    with_game(load_settings(), functools.partial(discard_letter, letter_id=letter))
    say(f"discarded: dead letter {letter}")
