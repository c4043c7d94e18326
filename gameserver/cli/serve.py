"""`gameserver serve`, `token` and `doctor`: the running game, load-test players, and a look at what a start needs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rich.table
import typer
from rich.console import Console

from gameserver.cli.app import app, compiled, refusing, say
from gameserver.doctor import Verdict, examine
from gameserver.errors import OperatorError
from gameserver.logs import configure_logs
from gameserver.settings import LogFormat, Settings, load_settings

if TYPE_CHECKING:
    from gameserver.addresses import Addresses

TOKEN_TTL_S = 86_400  #: a load test's tokens outlive the test
DOCTOR_COLORS = {Verdict.GOOD: "green", Verdict.WARNING: "yellow", Verdict.BAD: "red"}


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
    raise typer.Exit(compiled("main").run_server(settings, _announce))


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
    for line in compiled("load_players").load_test_credentials(settings, players, ttl_s=ttl, as_hello=hello_hex):
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
