"""A plug-in of pytest: no token, signed login, key or passphrase in anything that the program under test writes.

It looks at what each test has captured (standard output, standard error, log), at log entries that a test captured by
itself, at every problem and every page of metrics that a client of httpx was given, and, where `ServerProcess` asks it
to, at the output of whole processes. A test in which something is found fails, whatever else it found out.

It knows secrets by their form, and some by heart. It shares no pattern with `gameserver.logs`, which masks.
"""

import re
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import httpx
import pytest
import structlog

from tests.fakes.loopback_game import KEY
from tests.fakes.telegram import BOT_TOKEN

FORMS: Final = {
    "a JWT": re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    "a bot's token": re.compile(r"(?<!\d)\d{8,12}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a refresh token or key": re.compile(
        r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[A-Za-z0-9_-]{43}(?![\w-])", re.ASCII
    ),
    "a signed login": re.compile(r"auth_date\b.{0,2000}\bhash\W{1,6}[0-9a-f]{64}|\bhash=[0-9a-f]{64}", re.DOTALL),
    "a password in an address": re.compile(r"\w://[^\s/:@]+:(?!\*\*\*)[^\s/@]+@"),
}
PASSPHRASES: Final = ("correct horse battery staple",)
KNOWN: Final = {KEY: "a signing key", BOT_TOKEN: "a bot's token"} | dict.fromkeys(PASSPHRASES, "a passphrase")


def secrets_in(text: str, known: dict[str, str] | None = None) -> Iterator[str]:
    """What is found in a text, named and with its surroundings, itself left out.

    Args:
        text: that the program has written.
        known: further secrets by heart, and what they are.
    """
    for secret, what in (KNOWN | (known or {})).items():
        if secret in text:
            yield f"{what} in …{text.partition(secret)[0][-80:]!r}"
    for what, form in FORMS.items():
        for found in form.finditer(text):
            yield f"{what} in …{text[max(found.start() - 80, 0) : found.start()]!r}"


class Watch:
    """What was found since somebody last asked."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def look(self, where: str, text: str, known: dict[str, str] | None = None) -> None:
        """Look at a text.

        Args:
            where: it is from.
            text: that the program has written.
            known: further secrets by heart, and what they are.
        """
        self._found += [f"{where}: {secret}" for secret in secrets_in(text, known)]

    def take(self) -> list[str]:
        """What was found, once."""
        found, self._found = self._found, []
        return found


watch: Final = Watch()


def look_at_entry(entry: dict[str, Any]) -> None:
    """Look at an entry of the log, its exception included."""
    text = repr(entry)
    if isinstance(error := entry.get("exc_info"), BaseException):
        text += "".join(traceback.format_exception(error))
    watch.look("the log", text)


def look_at_answer(response: httpx.Response) -> None:
    """Look at what says that something went wrong, and at metrics; other answers may hold the caller's own tokens."""
    if response.status_code >= 400 or response.request.url.path == "/metrics":
        watch.look(f"the answer to {response.request.method} {response.request.url.path}", response.text)


def pytest_configure() -> None:
    """Stand beside structlog's capturing and httpx's clients."""
    capture = structlog.testing.LogCapture.__call__
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def captured(self: structlog.testing.LogCapture, logger: Any, method: str, entry: Any) -> Any:
        look_at_entry(dict(entry))
        return capture(self, logger, method, entry)

    def sent(self: httpx.Client, *args: Any, **options: Any) -> httpx.Response:
        response = send(self, *args, **options)
        if not options.get("stream"):
            look_at_answer(response)
        return response

    async def sent_async(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        response = await send_async(self, *args, **options)
        if not options.get("stream"):
            look_at_answer(response)
        return response

    replacements: list[tuple[type, str, Callable[..., Any]]] = [
        (structlog.testing.LogCapture, "__call__", captured),
        (httpx.Client, "send", sent),
        (httpx.AsyncClient, "send", sent_async),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the phase of a test in which something was found."""
    report = yield
    for title, text in report.sections:
        if title.endswith(str(report.when)):  # later phases show the earlier ones' again
            watch.look(title, text)
    if (found := watch.take()) and report.outcome != "failed":
        report.outcome = "failed"
        report.longrepr = "What the program wrote holds secrets.\n" + "\n".join(found)
    return report
