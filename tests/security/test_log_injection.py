"""Whatever peers send, a log line is one line, of printable characters, and nobody else's."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameserver.logs import configure_logs, get_logger

FORGED = "2026-01-01T00:00:00.000000Z [info     ] forged"
LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[\w+ *\] ")
MARGIN = "  | "

#: What peers could send, with a liking for what steers terminals and ends lines.
hostile = st.text(
    st.one_of(st.characters(), st.sampled_from("\n\r\t\x1b\x07\x00\x85\u2028\u2029\u202e\ufeff\ud800")), max_size=60
).map(lambda text: f"{text}\n{FORGED}\x1b[2J")


class Peer:
    """Represents itself by what it sent."""

    def __init__(self, sent: str) -> None:
        self.sent = sent

    def __repr__(self) -> str:
        return self.sent


class Stream:
    """Where the lines go."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> None:
        text.encode()  # as a real one would: a lone surrogate fails
        self.written += text

    def flush(self) -> None:
        """Nothing waits."""


@pytest.fixture
def untouched() -> Iterator[None]:
    """The logging of the tests themselves, as it was."""
    import structlog

    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level
    yield
    structlog.configure(**before[0])
    root.handlers[:], root.level = before[1], before[2]


def lines_of(sent: str, *, as_json: bool) -> list[str]:
    """What is written where everything that is said came from a peer."""
    configure_logs(as_json=as_json)
    out = Stream()
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(out)
    log = get_logger(f"of {sent}")
    log.info(sent, origin=sent, path=[sent], peer=Peer(sent), raw=sent.encode("utf-8", "replace"))
    logging.getLogger("some.library").warning("the peer said %s", sent)
    try:
        int(sent)  # says what it was given
    except ValueError:
        log.exception("a session crashed", client=sent)
        logging.getLogger("some.library").exception(sent)
    return out.written.split("\n")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_json", [False, True])
def test_nobody_can_forge_a_line_or_steer_a_terminal(as_json: bool) -> None:
    @given(hostile)
    def check(sent: str) -> None:
        lines = lines_of(sent, as_json=as_json)
        assert lines.pop() == ""
        assert all(line.isprintable() for line in lines)
        if as_json:
            events: list[dict[str, Any]] = [json.loads(line) for line in lines]
            assert len(events) == 4
            assert events[0]["event"] == events[0]["origin"] == sent
        else:
            own = [line for line in lines if not line.startswith(MARGIN)]
            assert len(own) == 4
            assert all(LINE.match(line) for line in own)
            assert not any(line.startswith(FORGED) for line in lines)

    check()


SECRETS = [
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJwcGoiLCJhdWQiOiJwcGouZ2FtZSJ9.Zm9yZ2VkLXNpZ25hdHVyZQ",
    "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4",
    "q0w9e8r7t6Y5u4i3o2p1A-s_D0f9G8h7J6k5L4z3X2c",
    "c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2",
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_masked(secret: str, as_json: bool) -> None:
    text = "\n".join(lines_of(f"user=1&hash={secret} ", as_json=as_json))
    assert "hash=***" in text
    assert secret not in text
