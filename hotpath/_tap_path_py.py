"""From a TAP to its TAPPED: the specification of `_tap_path_c.pyx`.

A TAP whose player is in memory and has nothing waiting needs no message and no turn of its own: the transport answers
it through its seat. Everything else (the player is loading, its mailbox is not empty, the lineage is blocked, nothing
may be changed) goes to the actor's mailbox, in order; the actor answers through the same `TapLine`.
"""

from typing import Any, Protocol

from hotpath._player_state_py import Cursor, PlayerState, World
from hotpath._tap_codec_py import encode_tapped
from hotpath._tap_signals_py import TapSignals


class TapActor(Protocol):
    """The player's actor, as a seat sees it."""

    def touched(self) -> None:
        """Something of it is to be written; called before the first change since the last flush."""
        ...

    def announce_levels(self, before: int, now_ms: int) -> None:
        """A tap raised the level above `before`."""
        ...


class NoticedSession(Protocol):
    """A session, as its seat sees it."""

    def tell_durable(self, durable_seq: int) -> None:
        """Send a DURABLE frame."""
        ...

    def crashed(self, error: Exception) -> None:
        """That raised."""
        ...


#: Without an operation for this long, a session gets a DURABLE frame of its own. Clients send at least once a second
#: while somebody taps: they are told with their TAPPED, and only those who have really stopped cost a frame.
QUIET_MS = 1_500
NOTICE_TICK_MS = 100  #: notices come at most so much late
NOTICE_SLOTS = 32


class Tally:
    """What all players of a node did since the start; turns only count, metrics read."""

    __slots__ = ("accepted_total", "levels_total", "refused_total", "repeated_frames_total")

    def __init__(self) -> None:
        self.accepted_total = 0  #: taps that counted
        self.refused_total = 0  #: taps in excess of bucket or energy
        self.repeated_frames_total = 0  #: TAP frames that had been applied before
        self.levels_total = 0  #: levels reached


class Gate:
    """Whether a tap may be handled at once: an actor keeps its own open while nothing stands before a new message.

    Args:
        outer: has to be open too; None = no other.
    """

    __slots__ = ("_outer", "open")

    def __init__(self, outer: "Gate | None" = None) -> None:
        self.open = False
        self._outer = outer

    def _passable(self) -> bool:
        return self.open and (self._outer is None or self._outer.open)


class TapLine:
    """What the TAPs of one lineage touch.

    Args:
        state: the player's.
        cursor: the lineage's.
        world: the node's.
        tally: the node's.
        signals: the player's.
    """

    __slots__ = ("_signals", "_tally", "_world", "cursor", "state")

    def __init__(self, state: PlayerState, cursor: Cursor, world: World, tally: Tally, signals: TapSignals) -> None:
        self.state = state
        self.cursor = cursor
        self._world = world
        self._tally = tally
        self._signals = signals

    def answer(self, seq: int, count: int, now_ms: int) -> bytes:
        """Apply a TAP, or find that it is a repeat; returns its TAPPED frame.

        Args:
            seq: 1 … 2³² − 2.
            count: 1 … 100 taps.
            now_ms: the present.
        """
        accepted = 0
        if self.cursor.advance(seq):
            self._signals.note(count, now_ms, self.state)
            accepted = self.state.apply_taps(count, now_ms, self._world)
            self._signals.refuse(count - accepted)
            self._tally.accepted_total += accepted
            self._tally.refused_total += count - accepted
        else:
            self._tally.repeated_frames_total += 1
        return encode_tapped(
            seq,
            accepted,
            self.state.balance_mpt,
            self.state.xp,
            self.state.level,
            self.state.energy(now_ms),
            self.state.combo_at(now_ms),
            self.cursor.durable_seq,
        )


class Notices:
    """The seats that are owed a notice of what is durable: one wheel for all of a node.

    A seat is put in when a commit finds that its client knows less, and looked at once it has been quiet for
    `QUIET_MS`. Until then a TAPPED or RESULT may have told it, which is the common case: a commit costs a list entry.

    Args:
        uptime_ms: the present, by the monotonic clock.
    """

    def __init__(self, uptime_ms: int) -> None:
        self._tick = uptime_ms // NOTICE_TICK_MS
        self._slots: list[list[Seat]] = [[] for _ in range(NOTICE_SLOTS)]

    def _add(self, seat: "Seat", due_ms: int) -> None:
        tick = max(due_ms // NOTICE_TICK_MS + 1, self._tick + 1)
        self._slots[min(tick, self._tick + NOTICE_SLOTS - 1) % NOTICE_SLOTS].append(seat)

    def beat(self, uptime_ms: int) -> None:
        """Have every seat told that has been quiet for long enough."""
        now_tick = uptime_ms // NOTICE_TICK_MS
        due: list[Seat] = []
        for tick in range(max(self._tick, now_tick - NOTICE_SLOTS) + 1, now_tick + 1):
            due += self._slots[tick % NOTICE_SLOTS]
            self._slots[tick % NOTICE_SLOTS] = []
        self._tick = max(self._tick, now_tick)
        for seat in due:
            session = seat._session  # noqa: SLF001 - as C does: same module
            try:
                seat._notice(uptime_ms)  # noqa: SLF001
            except Exception as error:  # noqa: BLE001 - a session's bug ends that session only
                if session is not None:
                    session.crashed(error)


class Seat:
    """A socket's place at its player, when it was last heard of, and what it knows to be durable.

    Args:
        uptime_ms: the present, by the monotonic clock, as all times of a seat.
        notices: the node's.
    """

    __slots__ = (
        "_actor",
        "_durable_seq",
        "_gate",
        "_level",
        "_line",
        "_noticed",
        "_notices",
        "_raised",
        "_session",
        "blocked",
        "heard_ms",
        "operated_ms",
        "pinged",
        "told_seq",
    )

    def __init__(self, uptime_ms: int, notices: Notices) -> None:
        self.heard_ms = uptime_ms  #: the last sign of life
        self.operated_ms = uptime_ms  #: the last operation
        self.pinged = False  #: a ping is out since the last sign of life
        self.told_seq = 0  #: the durable_seq the peer knows
        #: What the lineage waits for (go back N): `(seq, error)` of the operation that must come again, or None.
        self.blocked: tuple[int, Any] | None = None
        self._level = 0
        self._raised: TapActor | None = None
        self._durable_seq = 0
        self._notices = notices
        self._noticed = False
        self.leave()

    def take(self, line: TapLine, gate: Gate, actor: TapActor, session: NoticedSession) -> None:
        """The socket is attached.

        Args:
            line: of its lineage.
            gate: of its player.
            actor: the player's.
            session: whose seat it is; told when a notice is due.
        """
        self._line: TapLine | None = line
        self._gate: Gate | None = gate
        self._actor: TapActor | None = actor
        self._session: NoticedSession | None = session
        self.told_seq = self._durable_seq = line.cursor.durable_seq

    def leave(self) -> None:
        """The socket is detached, or the player is gone."""
        self._line = self._gate = self._actor = self._session = None

    def told(self, durable_seq: int) -> None:
        """A frame that says what is durable is on its way."""
        self.told_seq = max(self.told_seq, durable_seq)

    def durable(self, seq: int) -> None:
        """Every operation up to `seq` is committed: the next TAPPED says so, or a DURABLE frame soon."""
        self._durable_seq = seq
        if seq > self.told_seq and not self._noticed:
            self._noticed = True
            self._notices._add(self, self.operated_ms + QUIET_MS)  # noqa: SLF001 - as C does: same module

    def _notice(self, uptime_ms: int) -> None:
        self._noticed = False
        if self._session is None or self._durable_seq <= self.told_seq:
            return
        if uptime_ms < self.operated_ms + QUIET_MS:
            self._noticed = True
            self._notices._add(self, self.operated_ms + QUIET_MS)  # noqa: SLF001 - as C does: same module
        else:
            self.told_seq = self._durable_seq
            self._session.tell_durable(self._durable_seq)

    def tap(self, seq: int, count: int, now_ms: int) -> bytes | None:
        """The TAPPED frame of a TAP that may be handled at once, None where it has to queue.

        Args:
            seq: 1 … 2³² − 2.
            count: 1 … 100 taps.
            now_ms: the present.
        """
        line = self._line
        if line is None or self._gate is None or self._actor is None:
            return None
        if self.blocked is not None or not self._gate._passable():  # noqa: SLF001 - as C does: same module
            return None
        self.operated_ms = self.heard_ms
        self._level = line.state.level
        if seq > line.cursor.applied_seq and not line.state.awaiting_flush:
            self._actor.touched()
        frame = line.answer(seq, count, now_ms)
        if line.state.level != self._level:
            self._raised = self._actor  # kept until it is announced, whatever becomes of the socket
        self.told_seq = line.cursor.durable_seq
        return frame

    def announce_levels(self, now_ms: int) -> None:
        """Announce what the last tap reached; to be called behind its frame."""
        actor, self._raised = self._raised, None
        if actor is not None:
            actor.announce_levels(self._level, now_ms)
