"""What simulated players do, as locust's user classes. Importing this patches the process: only locust loads it.

One request event is fired per round trip, timed with `perf_counter`: connect, hello, tap, action, ping, resume. Taps
follow a schedule that does not wait for answers, and their time counts from when they were due: a server or generator
that falls behind shows it in every tap that it keeps waiting.
"""

import contextlib
import itertools
import random
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser

from gameserver.wire.ops import may_reconnect
from loadtest.player import Misbehaved, Player, Refused
from loadtest.ws_client import Closed, ProtocolError

BATCH_S = (0.5, 1.0)  #: how long a person taps before the page sends
TAPS_PER_S = (6.0, 10.5)  #: below the bucket's 15, so that every tap counts
MIN_TAPS, MAX_TAPS = 3, 10
REST_S = 15.0  #: when the energy is used up: it comes back at 1 a second or more
AWAY_S = (0.2, 2.0)  #: between a lost socket and the next attempt
DROP_SHARE, PING_SHARE, ACTION_SHARE = 0.02, 0.03, 0.03  #: of all batches: followed by a drop, ping or action
EAGER_TAPS = 5

_random = random.Random()  # noqa: S311 - how people behave is no secret


def _add_arguments(parser: LocustArgumentParser) -> None:
    parser.add_argument("--tokens", required=True, help="file with one access token a line, at least one per user")


def _read_tokens(environment: Environment, **_: Any) -> None:
    options: Namespace | None = environment.parsed_options
    assert options is not None, "locust parses the command line first"
    SocketUser.tokens = iter(Path(options.tokens).read_text(encoding="ascii").split())


events.init_command_line_parser.add_listener(_add_arguments)  # type: ignore[no-untyped-call]  # locust leaves it bare
events.init.add_listener(_read_tokens)  # type: ignore[no-untyped-call]  # locust leaves it bare


class SocketUser(User):
    """A player on one socket: what every user class shares."""

    abstract = True
    tokens: ClassVar[Iterator[str]] = iter(())
    pings: ClassVar[Iterator[int]] = itertools.count()

    def on_start(self) -> None:
        """Take a token of one's own and come in."""
        token = next(SocketUser.tokens, None)
        if token is None or self.host is None:
            raise StopUser
        self.player = Player(self.host, token)
        self.due_s = time.perf_counter()
        self.come_in()

    def on_stop(self) -> None:
        """Leave in good order."""
        self.player.leave()

    def wait_time(self) -> float:
        """Seconds until the next task is due."""
        return max(0.0, self.due_s - time.perf_counter())

    def come_in(self) -> bool:
        """Connect, HELLO, and send again what is not settled; whether all of it succeeded."""
        return (
            self.measure("connect", self.player.connect)
            and self.measure("hello", self.player.hello)
            and (not self.player.unfinished or self.measure("resume", self.player.resume))
        )

    def measure(self, name: str, operation: Callable[[], Any], since_s: float | None = None) -> bool:
        """Do something, fire its request event, and lose the socket if it failed.

        Args:
            name: in the report.
            operation: raises when it fails.
            since_s: when it was due, on `perf_counter`; None = now.

        Returns:
            Whether it succeeded; if not, `due_s` is when to come back.
        """
        start_s = time.perf_counter() if since_s is None else since_s
        failure: Exception | None = None
        try:
            operation()
        except (Misbehaved, Refused) as error:
            failure = error
            self.player.start_over()
        except (Closed, ProtocolError, OSError) as error:
            failure = error
        elapsed_ms = (time.perf_counter() - start_s) * 1000
        if failure is not None:
            self.lose_socket()
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=elapsed_ms,
            response_length=0,
            exception=failure,
            context={},
        )
        if isinstance(failure, Closed) and not may_reconnect(failure.code):
            raise StopUser
        return failure is None

    def lose_socket(self) -> None:
        """Be gone without a word, for a while."""
        self.player.drop()
        self.due_s = time.perf_counter() + _random.uniform(*AWAY_S)


class HumanPlayer(SocketUser):
    """Taps at a human pace, looks at the state now and then, loses the network now and then."""

    def on_start(self) -> None:
        """Come in and begin to tap."""
        super().on_start()
        self.plan(time.perf_counter())

    def plan(self, from_s: float) -> None:
        """Make the next taps from `from_s` on; they are due when they have been made."""
        batch_s = _random.uniform(*BATCH_S)
        self.taps = min(max(round(batch_s * _random.uniform(*TAPS_PER_S)), MIN_TAPS), MAX_TAPS)
        self.dt_ms = round(batch_s * 1000)
        self.due_s = from_s + batch_s

    @task
    def play(self) -> None:
        """Send the batch that is due, and perhaps do something else."""
        if self.wait_time() > 0:
            return  # locust begins with a task, not with a wait
        player = self.player
        if not player.connected:
            if self.come_in():
                self.plan(time.perf_counter())
            return
        dice = _random.random()
        if player.energy < self.taps:
            if self.measure("action", player.get_state):
                self.due_s = time.perf_counter() + REST_S
        elif dice < DROP_SHARE:
            self.vanish()
        elif self.measure("tap", lambda: player.tap(self.taps, self.dt_ms), since_s=self.due_s):
            self.plan(self.due_s)
            if dice < DROP_SHARE + PING_SHARE:
                self.measure("ping", lambda: player.ping(next(self.pings), int(time.monotonic() * 1000)))
            elif dice < DROP_SHARE + PING_SHARE + ACTION_SHARE:
                self.measure("action", player.get_state)

    def vanish(self) -> None:
        """Send the batch and be gone before its answer: the server may or may not have read it."""
        with contextlib.suppress(OSError):  # gone already? the batch is in the queue, and coming back settles it
            self.player.send_tap(self.taps, self.dt_ms)
        self.lose_socket()


class EagerPlayer(SocketUser):
    """Taps as fast as answers come: measures the generator itself, against a server that only answers."""

    @task
    def play(self) -> None:
        """One batch, at once."""
        if self.player.connected or self.come_in():
            self.measure("tap", lambda: self.player.tap(EAGER_TAPS, 0))
