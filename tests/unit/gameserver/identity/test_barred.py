"""Who may not play although the token verifies, as one node knows it."""

from uuid import UUID, uuid4

import pytest
import trio

from gameserver.clock import ManualClock
from gameserver.errors import Unauthenticated
from gameserver.identity.barred import SWEEP_S, Banned, Barred
from persistence.barred_store import BarredRows
from persistence.errors import DatabaseUnavailable

TOKEN_MS = 60_000
PLAYER, LOGIN = UUID(int=1), UUID(int=2)


class Store:
    """What is written down."""

    def __init__(self) -> None:
        self.rows = BarredRows([], {})
        self.asked: list[tuple[int, int]] = []
        self.away = 0  #: how many more times it does not answer

    async def everybody(self, *, ended_since_ms: int, now_ms: int) -> BarredRows:
        self._answer()
        self.asked.append((ended_since_ms, now_ms))
        return self.rows

    async def banned_until_ms(self, player: UUID) -> int:
        self._answer()
        return self.rows.bans.get(player, 0)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable("away")


class Node:
    """A node that follows."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Store()
        self.barred = Barred(self.clock, token_ms=TOKEN_MS)
        self.changes = 0

    def _changed(self) -> None:
        self.changes += 1

    async def start(self, nursery: trio.Nursery) -> None:
        await nursery.start(self.barred.follow, self.store, self._changed)

    def refused(self, player: UUID = PLAYER, login: UUID = LOGIN) -> type[Exception] | None:
        error = self.barred.refusal(player, login)
        return None if error is None else type(error)


async def test_everybody_is_known_before_the_first_is_let_in(autojump_clock: object) -> None:
    del autojump_clock  # it makes Trio's time jump
    node = Node()
    banned = uuid4()
    node.store.rows = BarredRows([LOGIN], {banned: node.clock.now_ms() + 5})
    node.store.away = 2
    async with trio.open_nursery() as nursery:
        began_s = trio.current_time()
        await node.start(nursery)
        assert node.store.away == 0
        assert 0 < trio.current_time() - began_s < 1  # two short pauses
        assert node.store.asked == [(node.clock.now_ms() - TOKEN_MS, node.clock.now_ms())]
        assert node.refused() is Unauthenticated
        assert node.refused(banned, uuid4()) is Banned
        assert node.refused(uuid4(), uuid4()) is None
        assert len(node.barred) == 2
        nursery.cancel_scope.cancel()


async def test_what_is_notified_holds_at_once_and_several_are_told_together(autojump_clock: object) -> None:
    del autojump_clock  # it makes Trio's time jump
    node = Node()
    async with trio.open_nursery() as nursery:
        await node.start(nursery)
        node.barred.notice(f"session {LOGIN}")
        node.store.rows.bans[PLAYER] = node.clock.now_ms() + 10
        node.barred.notice(f"player {PLAYER}")
        await trio.sleep(1)
        assert node.changes == 1
        assert node.refused(uuid4(), LOGIN) is Unauthenticated
        assert node.refused(PLAYER, uuid4()) is Banned
        node.clock.advance(10)
        assert node.refused(PLAYER, uuid4()) is None, "a ban ends by itself"
        del node.store.rows.bans[PLAYER]
        node.barred.ban(PLAYER, node.clock.now_ms() + 10)
        node.barred.notice(f"player {PLAYER}")
        await trio.sleep(1)
        assert node.refused(PLAYER, uuid4()) is None, "and when it is lifted"
        assert node.changes == 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("payload", ["", "nonsense", "session 12", "player"])
async def test_all_is_read_again_after_a_cut_and_after_what_nobody_knows(autojump_clock: object, payload: str) -> None:
    del autojump_clock  # it makes Trio's time jump
    node = Node()
    async with trio.open_nursery() as nursery:
        await node.start(nursery)
        node.store.rows = BarredRows([LOGIN], {PLAYER: node.clock.now_ms() + 10})
        node.store.away = 1
        node.barred.notice(payload)
        await trio.sleep(1)
        assert node.changes == 1
        assert node.refused(uuid4(), LOGIN) is Unauthenticated
        assert node.refused(PLAYER, uuid4()) is Banned
        node.store.rows = BarredRows([], {})
        node.barred.notice("")
        await trio.sleep(1)
        assert node.refused(PLAYER, uuid4()) is None
        assert node.refused(uuid4(), LOGIN) is Unauthenticated, "who was ended stays ended"
        nursery.cancel_scope.cancel()


async def test_a_login_is_forgotten_when_no_token_of_it_can_be_good(autojump_clock: object) -> None:
    del autojump_clock  # it makes Trio's time jump
    node = Node()
    async with trio.open_nursery() as nursery:
        await node.start(nursery)
        node.barred.end_session(LOGIN)
        node.barred.ban(PLAYER, node.clock.now_ms() + TOKEN_MS)
        node.clock.advance(TOKEN_MS - 1)
        await trio.sleep(SWEEP_S + 1)
        assert len(node.barred) == 2
        node.clock.advance(1)
        await trio.sleep(SWEEP_S + 1)
        assert len(node.barred) == 0
        nursery.cancel_scope.cancel()
