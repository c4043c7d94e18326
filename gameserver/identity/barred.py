"""Who may not play although the token verifies: logins that were ended before their time, and banned players.

A token is verified without looking anything up, so every node keeps in memory who is barred: all of it is read at the
start and whenever the line to the database was cut, and what happens in between is notified. Ended logins are kept
for as long as a token of theirs could still be good; bans until they are over.
"""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from uuid import UUID

import trio

from gameserver.clock import Clock
from gameserver.errors import Forbidden, Unauthenticated, WireError
from gameserver.logs import get_logger
from persistence.backoff import pause_s
from persistence.barred_store import BarredRows
from persistence.errors import DatabaseUnavailable

GATHER_S: Final = 0.05  #: changes that come within this are told together
SWEEP_S: Final = 60.0  #: how often what no longer matters is forgotten

log = get_logger(__name__)


class Banned(Forbidden):
    """The player is banned; no socket, no login."""


class BarredStore(Protocol):
    """Where it is written who is barred; each raises `DatabaseUnavailable`."""

    async def everybody(self, *, ended_since_ms: int, now_ms: int) -> BarredRows:
        """Who is barred now."""
        ...

    async def banned_until_ms(self, player: UUID) -> int:
        """Until when a player is banned, Unix ms; 0 = not at all."""
        ...


class Barred:
    """Who is barred, as this node knows.

    Args:
        clock: the present.
        token_ms: how long an access token can be good after it was issued.
    """

    def __init__(self, clock: Clock, *, token_ms: int) -> None:
        self._clock = clock
        self._token_ms = token_ms
        self._sessions: dict[UUID, int] = {}  #: until when it matters, by login
        self._bans: dict[UUID, int] = {}  #: until when, by public id
        self._notices: deque[str] = deque()
        self._noticed = trio.Event()

    def __len__(self) -> int:
        """How many logins and players are barred."""
        return len(self._sessions) + len(self._bans)

    def refusal(self, player: UUID, session: UUID) -> WireError | None:
        """Why this login of this player may not play; None if it may."""
        if (until_ms := self._bans.get(player)) is not None and until_ms > self._clock.now_ms():
            return Banned("this player is banned")
        if session in self._sessions:
            return Unauthenticated("this login has ended: log in again")
        return None

    def end_session(self, session: UUID) -> None:
        """A login has ended."""
        self._sessions[session] = self._clock.now_ms() + self._token_ms

    def ban(self, player: UUID, until_ms: int) -> None:
        """A player is banned until then, Unix ms; 0 = not any more."""
        self._bans[player] = until_ms
        if until_ms <= self._clock.now_ms():
            del self._bans[player]

    def notice(self, payload: str) -> None:
        """The database notified `payload`; "" = something may have been missed."""
        self._notices.append(payload)
        self._noticed.set()

    async def follow(
        self,
        store: BarredStore,
        changed: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keep up with the database until cancelled.

        Args:
            store: where it is written.
            changed: called after each change, some of them together: sockets of who is barred now are to be closed.
            task_status: started once everybody who is barred is known.
        """
        await _until_there(lambda: self._read_all(store))
        task_status.started()
        while True:
            with trio.move_on_after(SWEEP_S):
                await self._noticed.wait()
            if not self._noticed.is_set():
                self._forget()
                continue
            await trio.sleep(GATHER_S)
            self._noticed = trio.Event()
            payloads = list(self._notices)
            self._notices.clear()
            await _until_there(lambda: self._apply(store, payloads))  # noqa: B023 - awaited here
            changed()

    async def _apply(self, store: BarredStore, payloads: list[str]) -> None:
        try:
            named = [(kind, UUID(name)) for kind, _, name in (payload.partition(" ") for payload in payloads)]
        except ValueError:  # something may have been missed, or somebody notifies what we do not know
            await self._read_all(store)
            return
        for kind, id_ in named:
            if kind == "session":
                self.end_session(id_)
            else:
                self.ban(id_, await store.banned_until_ms(id_))

    async def _read_all(self, store: BarredStore) -> None:
        now_ms = self._clock.now_ms()
        rows = await store.everybody(ended_since_ms=now_ms - self._token_ms, now_ms=now_ms)
        self._bans = dict(rows.bans)
        for session in rows.sessions:
            self._sessions.setdefault(session, now_ms + self._token_ms)
        self._forget()

    def _forget(self) -> None:
        now_ms = self._clock.now_ms()
        self._sessions = {session: until_ms for session, until_ms in self._sessions.items() if until_ms > now_ms}
        self._bans = {player: until_ms for player, until_ms in self._bans.items() if until_ms > now_ms}


async def _until_there(read: Callable[[], Awaitable[None]]) -> None:
    for unanswered in itertools.count():
        try:
            await read()
        except DatabaseUnavailable:
            await trio.sleep(pause_s(unanswered))
        else:
            return
