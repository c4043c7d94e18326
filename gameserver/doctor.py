"""`gameserver doctor`: looks at everything a start needs, and says what to do about what it finds.

It works before anything is built, changes nothing, and asks a running server's database as readily as a stopped one's.
"""

import enum
import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gameserver.errors import OperatorError
from gameserver.file_limit import advice, attainable_files
from gameserver.settings import RateLimitMode, Settings, load_settings, setting_sources, unknown_variables

EXTENSIONS = (
    *("rules", "player_state", "player_writes", "tap_codec", "tap_path", "rate_limit", "outbox"),
    *("frame_codec", "websocket"),
    *(("connection", "gateway") if sys.platform == "linux" else ()),
)


class Verdict(enum.StrEnum):
    """What a check found."""

    GOOD = "ok"
    WARNING = "warning"
    BAD = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        subject: what was looked at.
        verdict: whether it is as it should be.
        text: what was found and, unless it is good, what to do.
    """

    subject: str
    verdict: Verdict
    text: str


def examine(check_database: Callable[[Settings], str]) -> tuple[list[tuple[str, str, str]], list[Finding]]:
    """Look at everything.

    Args:
        check_database: returns one sentence about a good database and schema; raises what is wrong with it.

    Returns:
        Every setting as (variable, value, source), and the findings.
    """
    try:
        settings = load_settings()
    except OperatorError as error:
        default = Settings.model_fields["max_sockets"].default
        return [], [Finding("settings", Verdict.BAD, str(error)), *_machine(default), *_extensions()]
    findings = [
        *_settings(settings),
        _telegram(settings),
        _rate_limits(settings),
        *_machine(settings.max_sockets),
        *_extensions(),
        *_ports(settings),
    ]
    try:
        findings.append(Finding("database", Verdict.GOOD, check_database(settings)))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the finding
        findings.append(Finding("database", Verdict.BAD, str(error)))
    return setting_sources(settings), findings


def _settings(settings: Settings) -> Iterator[Finding]:
    problems = settings.problems()
    for problem in [*problems, *settings.cautions()]:
        yield Finding("settings", Verdict.WARNING, problem)
    for name in unknown_variables():
        yield Finding("settings", Verdict.WARNING, f"{name} is not a setting of this server; a typing error?")
    if not problems:
        yield Finding("settings", Verdict.GOOD, f"complete for {settings.env}")


def _telegram(settings: Settings) -> Finding:
    """How logins of Telegram are checked."""
    if settings.bot_tokens:
        rotating = " and the one before" if len(settings.bot_tokens) > 1 else ""
        text = f"Mini App and login widget are checked with the bot's token{rotating}"
    elif settings.bot_id is not None:
        text = (
            f"the Mini App of bot {settings.bot_id} is checked with Telegram's {settings.telegram_env} key; "
            "the login widget needs GAME_BOT_TOKEN"
        )
    else:
        text = "nobody can log in with Telegram; set GAME_BOT_TOKEN, or GAME_BOT_ID where the token is kept elsewhere"
    return Finding("telegram", Verdict.GOOD, text)


def _rate_limits(settings: Settings) -> Finding:
    """Who is kept from asking too often."""
    if settings.rate_limits is RateLimitMode.OFF:
        return Finding("rate limits", Verdict.GOOD, "off: nobody is refused, nothing is counted")
    is_on = settings.rate_limits is RateLimitMode.ON
    counted = "who asks too often is refused" if is_on else "a dry run: nobody is refused"
    if not settings.max_sockets_per_address:
        addresses = "addresses are not counted (GAME_MAX_SOCKETS_PER_ADDRESS=0: they are a proxy's)"
    else:
        addresses = "addresses are counted" + (", but for loopback" if settings.is_dev else "")
    return Finding("rate limits", Verdict.GOOD, f"{counted}; {addresses}")


def _machine(max_sockets: int) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", Verdict.GOOD, version)
    files = attainable_files()
    if sentence := advice(files, max_sockets):
        yield Finding("open files", Verdict.WARNING, sentence)
    else:
        yield Finding("open files", Verdict.GOOD, f"{files} at once, enough for {max_sockets} sockets")


def _extensions() -> Iterator[Finding]:
    missing = []
    for name in EXTENSIONS:
        try:
            importlib.import_module(f"hotpath.{name}")
        except ImportError:
            missing.append(name)
    if missing:
        yield Finding("extensions", Verdict.BAD, f"not built: {', '.join(missing)}; run `make setup`.")
    else:
        yield Finding("extensions", Verdict.GOOD, "built and loaded")


def _ports(settings: Settings) -> Iterator[Finding]:
    for variable, host, port in (
        ("GAME_PORT", settings.host, settings.port),
        ("GAME_HTTP_PORT", settings.http_host, settings.http_port),
    ):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            text = (
                f"{host}:{port} cannot be bound ({error.strerror}); a server may be running there, or set {variable}."
            )
            yield Finding("port", Verdict.WARNING, text)
        else:
            yield Finding("port", Verdict.GOOD, f"{host}:{port} is free ({variable})")
