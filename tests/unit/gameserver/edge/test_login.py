"""The door: who a HELLO is from."""

import contextlib
from collections.abc import Iterable
from uuid import UUID, uuid4

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from gameserver.actors.actor import Cell
from gameserver.actors.player import PlayerActor
from gameserver.edge import login as login_module
from gameserver.edge.login import LoginDoor
from gameserver.errors import Busy, RateLimited, Unauthenticated, Unavailable, WireError
from gameserver.identity.accounts import Accounts, Login
from gameserver.identity.barred import Barred
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TokenIssuer
from gameserver.identity.visitor import UNKNOWN, Visitor
from gameserver.rate_limits.table import Limit, LimitClass, Scope
from gameserver.wire.messages import Hello, HelloBody
from persistence.errors import DatabaseUnavailable
from tests.fakes.front_desk import front_desk
from tests.fakes.lone_session import LoneSession
from tests.fakes.loopback_game import KEY, build_registry
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.memory_sessions import MemorySessions
from tests.fakes.noted_events import security_log
from tests.fakes.telegram import BOT_TOKEN, init_data


def last_seen(lone: LoneSession) -> LastSeen:
    return LastSeen(MemorySessions(), lone.clock)


class FailingAccounts(Accounts):
    """Logins fail as the test wants."""

    def __init__(self, lone: LoneSession, failure: Exception) -> None:
        super().__init__(
            MemoryAccounts(),
            TokenIssuer({"test": KEY}),
            lone.clock,
            telegram=TelegramVerifier(),
            dev=False,
            barred=Barred(lone.clock, token_ms=1),
            security_log=security_log(lone.clock),
            limits=lone.shared.limits,
        )
        self._failure = failure

    async def login_telegram(self, init_data: str, visitor: Visitor = UNKNOWN) -> Login:
        raise self._failure from RuntimeError(init_data, visitor)


@pytest.mark.parametrize(
    ("failure", "logged"),
    [
        (Unavailable("busy", retry_after_ms=50), False),
        (DatabaseUnavailable("away"), False),
        (RuntimeError("a bug"), True),
    ],
)
async def test_a_login_that_fails_ends_that_socket_only(failure: Exception, logged: bool) -> None:
    lone = LoneSession()
    async with trio.open_nursery() as nursery:
        lone.shared.door.greet = LoginDoor(  # type: ignore[method-assign]  # a real door instead of the held one
            FailingAccounts(lone, failure),
            build_registry(lone.database, lone.clock),
            nursery,
            last_seen(lone),
            lone.shared.limits,
        ).greet
        with capture_logs() as logs:
            lone.greet(token=None, init_data="x")
            await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert lone.end() == (4009, 4009)
    assert len(logs) == logged


async def test_a_token_is_checked_without_waiting(autojump_clock: object) -> None:
    del autojump_clock
    lone = LoneSession()
    issuer = TokenIssuer({"test": KEY})
    accounts = front_desk(MemoryAccounts(), issuer, lone.clock)
    players = build_registry(lone.database, lone.clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(players.run)
        lone.shared.door.greet = LoginDoor(accounts, players, nursery, last_seen(lone), lone.shared.limits).greet  # type: ignore[method-assign]  # as above
        lone.greet(token=issuer.issue(lone.row.public_id, UUID(int=5), lone.clock.now_ms() // 1_000))
        assert players.statistics().loading == 1
        await trio.sleep(1)
        [welcome] = lone.take()
        assert welcome[2]["session"] == str(UUID(int=5))
        nursery.cancel_scope.cancel()


class Knocking:
    """A session that writes down why it was turned away."""

    def __init__(self) -> None:
        self.address = ""
        self.errors: list[WireError] = []

    def join(self, cell: Cell[PlayerActor], hello: Hello, login: UUID, tokens: tuple[str, str] | None) -> None:
        raise AssertionError((cell, hello, login, tokens))

    def turned_away(self, error: WireError) -> None:
        self.errors.append(error)


HELLO_BY_LOGIN = Hello(body=HelloBody(lineage=bytes(16), device="", client="", init_data="x"))


class HangingAccounts(FailingAccounts):
    """Logins come back when the test lets them."""

    def __init__(self, lone: LoneSession) -> None:
        super().__init__(lone, Unavailable("late"))
        self.gate = trio.Event()
        self.asked = 0

    async def login_telegram(self, init_data: str, visitor: Visitor = UNKNOWN) -> Login:
        self.asked += 1
        await self.gate.wait()
        return await super().login_telegram(init_data, visitor)


async def test_so_many_log_in_at_a_time_and_who_comes_beyond_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "MAX_LOGINS", 2)
    lone = LoneSession()
    accounts = HangingAccounts(lone)
    async with trio.open_nursery() as nursery:
        door = LoginDoor(
            accounts, build_registry(lone.database, lone.clock), nursery, last_seen(lone), lone.shared.limits
        )
        sessions = [Knocking() for _ in range(4)]
        for session in sessions[:3]:
            door.greet(session, HELLO_BY_LOGIN)
        await wait_all_tasks_blocked()
        assert accounts.asked == 2
        assert [len(session.errors) for session in sessions] == [0, 0, 1, 0]
        assert isinstance(sessions[2].errors[0], Busy)
        accounts.gate.set()
        await wait_all_tasks_blocked()
        door.greet(sessions[3], HELLO_BY_LOGIN)  # there is room again, after logins that failed
        await wait_all_tasks_blocked()
        assert accounts.asked == 3


async def test_a_login_that_does_not_come_back_is_given_up(autojump_clock: object) -> None:
    del autojump_clock
    lone = LoneSession()
    session = Knocking()
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        door = LoginDoor(
            HangingAccounts(lone),
            build_registry(lone.database, lone.clock),
            nursery,
            last_seen(lone),
            lone.shared.limits,
        )
        door.greet(session, HELLO_BY_LOGIN)
    assert [type(error) for error in session.errors] == [Unavailable]
    assert trio.current_time() - began_s == pytest.approx(login_module.LOGIN_S)


async def test_who_would_wait_too_long_for_the_player_is_turned_away() -> None:
    lone = LoneSession()
    issuer = TokenIssuer({"test": KEY})
    accounts = front_desk(MemoryAccounts(), issuer, lone.clock)
    players = build_registry(lone.database, lone.clock)
    async with trio.open_nursery() as nursery:
        lone.shared.door.greet = LoginDoor(accounts, players, nursery, last_seen(lone), lone.shared.limits).greet  # type: ignore[method-assign]  # as above
        while not players.loads.refused_total:
            with contextlib.suppress(Busy):
                players.cell(uuid4())
        lone.greet(token=issuer.issue(lone.row.public_id, UUID(int=5), lone.clock.now_ms() // 1_000))
    [goodbye] = lone.take()
    assert goodbye[1] == 4009
    assert goodbye[3] > 0


async def test_nobody_is_let_in_while_another_node_may_have_the_players() -> None:
    lone = LoneSession()
    serving = False
    async with trio.open_nursery() as nursery:
        accounts = FailingAccounts(lone, RuntimeError("not to be asked"))
        players = build_registry(lone.database, lone.clock)
        door = LoginDoor(accounts, players, nursery, last_seen(lone), lone.shared.limits, serving=lambda: serving)
        lone.shared.door.greet = door.greet  # type: ignore[method-assign]  # a real door instead of the held one
        lone.greet(token=None, init_data="x")
        await wait_all_tasks_blocked()
    assert lone.end() == (4009, 4009)
    assert players.statistics().loading == 0


# ---- how often

HOME, AWAY = "203.0.113.7", "203.0.113.8"


class Entrance:
    """A door with limits; who is let in has joined."""

    def __init__(self, nursery: trio.Nursery, table: Iterable[Limit]) -> None:
        self.lone = LoneSession(table)
        self.issuer = TokenIssuer({"test": KEY})
        accounts = front_desk(
            *(MemoryAccounts(), self.issuer, self.lone.clock),
            telegram=TelegramVerifier(bot_tokens=(BOT_TOKEN,)),
            limits=self.lone.shared.limits,
        )
        players = build_registry(self.lone.database, self.lone.clock)
        self._door = LoginDoor(accounts, players, nursery, last_seen(self.lone), self.lone.shared.limits)

    async def knock(
        self, address: str, *, player: UUID | None = None, token: str | None = None, init_data: str | None = None
    ) -> WireError | None:
        """Say HELLO, with a good token where nothing else is given; why it was turned away."""
        session = Visiting(address)
        if token is None and init_data is None:
            token = self.issuer.issue(player or uuid4(), UUID(int=5), self.lone.clock.now_ms() // 1_000)
        body = HelloBody(lineage=bytes(16), device="", client="", token=token, init_data=init_data)
        self._door.greet(session, Hello(body=body))
        await wait_all_tasks_blocked()
        assert session.joined != bool(session.errors)
        return session.errors[0] if session.errors else None


class Visiting(Knocking):
    """One that may be let in."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.joined = False

    def join(self, cell: Cell[PlayerActor], hello: Hello, login: UUID, tokens: tuple[str, str] | None) -> None:
        del cell, hello, login, tokens
        self.joined = True


async def test_an_address_that_says_hello_too_often_is_told_when_to_come_back(nursery: trio.Nursery) -> None:
    at = Entrance(nursery, (Limit(Scope.ADDRESS, LimitClass.HELLO, 2, 60, ""),))
    assert [await at.knock(HOME) for _ in range(2)] == [None, None]
    refused = await at.knock(HOME)
    assert isinstance(refused, RateLimited)
    assert await at.knock(AWAY) is None
    at.lone.clock.advance(refused.retry_after_ms - 1)
    assert await at.knock(HOME) is not None
    at.lone.clock.advance(1)
    assert await at.knock(HOME) is None


async def test_a_player_who_says_hello_too_often_takes_nothing_from_the_address(nursery: trio.Nursery) -> None:
    table = (Limit(Scope.PLAYER, LimitClass.HELLO, 1, 60, ""), Limit(Scope.ADDRESS, LimitClass.HELLO, 2, 60, ""))
    at, ada = Entrance(nursery, table), uuid4()
    assert await at.knock(HOME, player=ada) is None
    for _ in range(5):
        assert isinstance(await at.knock(HOME, player=ada), RateLimited)
    assert await at.knock(HOME) is None


async def test_a_login_in_a_hello_is_counted_as_one_over_http_is(nursery: trio.Nursery) -> None:
    at = Entrance(nursery, (Limit(Scope.PLAYER, LimitClass.LOGIN, 1, 60, ""),))
    now_s = at.lone.clock.now_ms() // 1_000
    assert await at.knock(HOME, init_data=init_data(now_s)) is None
    assert isinstance(await at.knock(AWAY, init_data=init_data(now_s)), RateLimited)
    assert await at.knock(HOME, init_data=init_data(now_s, id=43)) is None


async def test_credentials_that_do_not_verify_make_their_address_wait_with_good_ones(nursery: trio.Nursery) -> None:
    at = Entrance(nursery, (Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 2, 600, ""),))
    old = at.issuer.issue(uuid4(), UUID(int=5), at.lone.clock.now_ms() // 1_000 - 10_000)
    for _ in range(5):
        assert isinstance(await at.knock(HOME, token=old), Unauthenticated)  # it was good once
    assert isinstance(await at.knock(HOME, token="x"), Unauthenticated)
    assert isinstance(await at.knock(HOME, init_data="hash=0"), Unauthenticated)
    good = init_data(at.lone.clock.now_ms() // 1_000)
    refused = await at.knock(HOME, init_data=good)
    assert isinstance(refused, RateLimited)
    assert isinstance(await at.knock(HOME), RateLimited)
    assert await at.knock(AWAY) is None
    at.lone.clock.advance(refused.retry_after_ms)
    assert await at.knock(HOME) is None
