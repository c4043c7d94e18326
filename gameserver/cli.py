"""The `gameserver` command: serve, migrate, token, doctor.

Every refusal is one sentence on standard error and a non-zero exit; answers go to standard output. What needs the
compiled extensions is imported by the commands that need it, so that `doctor` works before anything is built.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import rich.table
import typer
from rich.console import Console

from gameserver import __version__
from gameserver.doctor import Verdict, examine
from gameserver.errors import OperatorError
from gameserver.logs import configure_logs
from gameserver.settings import LogFormat, Settings, load_settings
from persistence.errors import PersistenceError

if TYPE_CHECKING:
    from gameserver.addresses import Addresses

P = ParamSpec("P")
R = TypeVar("R")

TOKEN_TTL_S = 86_400  #: a load test's tokens outlive the test
DOCTOR_COLORS = {Verdict.GOOD: "green", Verdict.WARNING: "yellow", Verdict.BAD: "red"}

app = typer.Typer(
    name="gameserver",
    help="People Power Journey: the realtime game server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
migrate = typer.Typer(help="The database's schema: status, up, down, check.", no_args_is_help=True)
app.add_typer(migrate, name="migrate")


def main() -> None:
    """Run the command line."""
    app()


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


def _compiled(name: str) -> Any:
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


@app.command()
@refusing
def serve(
    host: Annotated[str | None, typer.Option(help="Address of the game socket.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the game socket; 0 = any free one.")] = None,
    http_host: Annotated[str | None, typer.Option(help="Address of the HTTP side.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Port of the HTTP side; 0 = any free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the embedded database.")] = None,
) -> None:
    """Serve the game until Ctrl-C or SIGTERM; then write everything and stop."""
    settings = load_settings(host=host, port=port, http_host=http_host, http_port=http_port, data_dir=data_dir)
    configure_logs(as_json=settings.log_format is LogFormat.JSON)
    raise typer.Exit(_compiled("main").run_server(settings, _announce))


def _announce(addresses: "Addresses") -> None:
    say(
        "\nPeople Power Journey is ready.\n\n"
        f"  Play         {addresses.page}\n"
        f"  API docs     {addresses.docs}\n"
        f"  Game socket  {addresses.socket}\n"
        f"  Data         {addresses.data}\n"
        "  Stop         Ctrl-C (writes everything first)\n"
    )


@app.command()
@refusing
def token(
    players: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many load-test players.")] = 1,
    ttl: Annotated[int, typer.Option(min=1, help="Life of the tokens in seconds.")] = TOKEN_TTL_S,
    hello_hex: Annotated[bool, typer.Option("--hello-hex", help="Print whole HELLO payloads in hex instead.")] = False,
) -> None:
    """Make load-test players where they do not exist, fill their energy, print an access token a line. Dev only."""
    settings = load_settings()
    configure_logs(as_json=settings.log_format is LogFormat.JSON)
    if not settings.is_dev:
        raise OperatorError("tokens for load tests exist in dev only; set GAME_ENV=dev.")
    for line in _compiled("load_players").load_test_credentials(settings, players, ttl_s=ttl, as_hello=hello_hex):
        print(line)  # noqa: T201 - the answer
    sys.stdout.flush()


@app.command()
@refusing
def doctor() -> None:
    """Check settings, database, ports, extensions and limits, and say what to do."""
    settings, findings = examine(_database_in_words)
    console = Console()
    if settings:
        table = rich.table.Table("setting", "value", "from", box=None)
        for row in settings:
            table.add_row(*row)
        console.print(table)
        console.print()
    for finding in findings:
        color = DOCTOR_COLORS[finding.verdict]
        console.print(f"[{color}]{finding.verdict:>8}[/] {finding.subject}:", end=" ")
        console.print(finding.text, markup=False, soft_wrap=True)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)


def _database_in_words(settings: Settings) -> str:
    from gameserver.schema import inspect

    return inspect(settings)


@migrate.command("status")
@refusing
def migrate_status() -> None:
    """Show every revision and whether it is applied."""
    from gameserver.schema import status

    table = rich.table.Table("revision", "name", "state", box=None)
    for revision in status(load_settings()):
        state = "applied" if revision.applied_at_ms else "not applied"
        if revision.drifted:
            state = "applied from another text: drift"
        elif not revision.known:
            state = "applied by a newer server"
        table.add_row(revision.id, revision.name, state)
    Console().print(table)


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
) -> None:
    """Take revisions back; their data goes with them."""
    from gameserver.schema import down

    _say_moved("taken back", down(load_settings(), revision))


@migrate.command("check")
@refusing
def migrate_check() -> None:
    """Succeed if the schema is the one this server was built for."""
    from gameserver.schema import inspect

    say(inspect(load_settings()))


def _say_moved(what: str, revisions: Sequence[str]) -> None:
    say(f"{what}: {', '.join(revisions)}" if revisions else "nothing to do: the schema is already there")
