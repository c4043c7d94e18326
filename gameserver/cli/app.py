"""The root of the command line: answers go to standard output, refusals are one sentence on standard error.

What needs the compiled extensions is imported by the commands that need it, so that `doctor` works before anything is
built.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from gameserver import __version__
from gameserver.errors import OperatorError
from persistence.errors import PersistenceError

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="gameserver",
    help="People Power Journey: the realtime game server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def say(text: str) -> None:
    """Answer on standard output."""
    print(text, flush=True)  # noqa: T201 - the command's answer


def refuse(sentence: str, exit_code: int = 1) -> NoReturn:
    """Say on standard error why it cannot be done, and exit."""
    print(f"gameserver: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - the command's own voice
    raise typer.Exit(exit_code)


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a person can put right into one sentence and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except OperatorError as error:
            refuse(str(error), error.exit_code)
        except PersistenceError as error:
            refuse(str(error))
        except KeyboardInterrupt:
            refuse("interrupted.", exit_code=130)

    return wrapped


def compiled(name: str) -> Any:
    """The module `gameserver.<name>`, which needs the compiled extensions."""
    try:
        return importlib.import_module(f"gameserver.{name}")
    except ImportError as error:
        if "extensions are not built" not in str(error):
            raise
        raise OperatorError("the C extensions are not built; run `make setup`.") from None


@app.callback(invoke_without_command=True)
def _root(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show_version:
        say(__version__)
        raise typer.Exit
