"""A session: the server's side of one socket, without the socket.

It is given payloads (`receive`, `receive_text`), the news that the socket is gone (`gone`) and the time (`tick`), and
queues frames in its outbox. Every transport drives the same session; one that answers TAPs itself does so by the
session's seat (`hotpath.tap_path`). Its life is the table in `lifecycle`; the reactions to wrong frames are the table
in the wire protocol, "Errors".
"""

from collections.abc import Callable
from uuid import UUID

from gameserver.actors.actor import Cell
from gameserver.actors.messages import Attach, Detach, Operate, Spoil, Taps, Welcomed
from gameserver.actors.player import PlayerActor
from gameserver.edge.dispatch import operation
from gameserver.edge.farewell import Farewell, farewell_to_refused
from gameserver.edge.greeting import welcome_frame
from gameserver.edge.lifecycle import TRANSITIONS, Happening, State
from gameserver.edge.surroundings import Surroundings
from gameserver.errors import InvalidArgument, Malformed, RateLimited, WireError
from gameserver.logs import get_logger
from gameserver.rate_limits.limiter import Caller
from gameserver.rate_limits.table import LimitClass
from gameserver.wire.catalogue import LIMIT_CLASSES
from gameserver.wire.codec import BadHello, decode_client, encode
from gameserver.wire.messages import Action, Durable, ErrorFrame, Event, Goodbye, Hello, Ping, Pong, Result, Tap
from gameserver.wire.ops import (
    HELLO_DEADLINE_S,
    MAX_MALFORMED_PER_SESSION,
    OUTBOX_GRACE_S,
    OUTBOX_MAX_BYTES,
    OUTBOX_MAX_FRAMES,
    PING_AFTER_S,
    PONG_WITHIN_S,
    CloseCode,
)
from hotpath.outbox import Outbox
from hotpath.tap_codec import decode_tap
from hotpath.tap_path import Seat

JOIN_DEADLINE_MS = 15_000  #: from HELLO to WELCOME; then the node is overloaded
LAST_WORDS_MS = 3_000  #: to write what is queued after the end was decided

log = get_logger(__name__)


class Session:
    """One socket's session.

    Args:
        shared: what all sessions of the node share.
        outbox: the transport's; what is to be written goes in, and the session sets its bounds.
        abort: tells the transport to drop the socket without another word.
        address: the peer's, as `getpeername` writes it; "" = unknown.
    """

    __slots__ = (
        "_abort",
        "_caller",
        "_cell",
        "_ended_ms",
        "_greeted",
        "_pinged_ms",
        "_shared",
        "_strikes",
        "_tokens",
        "address",
        "due_ms",
        "far_due_ms",
        "lineage",
        "login",
        "outbox",
        "seat",
        "state",
    )

    def __init__(self, shared: Surroundings, outbox: Outbox, abort: Callable[[], None], address: str = "") -> None:
        uptime_ms = shared.clock.uptime_ms()
        outbox.bound(shared.clock, OUTBOX_MAX_FRAMES, OUTBOX_MAX_BYTES, OUTBOX_GRACE_S * 1_000)
        self._shared = shared
        self._abort = abort
        self.state = State.OPENING
        self.outbox = outbox
        self.seat = Seat(uptime_ms, shared.notices)
        self.address, self.lineage = address, b""
        self.login: UUID | None = None  #: the login session, from the credential on
        self.due_ms = self.far_due_ms = 0  #: the earliest arranged tick and a later one; 0 = none. Kept by the watch.
        self._cell: Cell[PlayerActor] | None = None
        self._tokens: tuple[str, str] | None = None
        self._greeted, self._strikes = False, 0
        self._caller: Caller | None = None  #: for whom is counted what is no tap
        self._ended_ms = self._pinged_ms = 0
        shared.watch.watch(self, uptime_ms + HELLO_DEADLINE_S * 1_000)

    # What the transport tells it

    def receive(self, payload: bytes) -> None:
        """A binary message arrived."""
        self._shared.counters.frames_total += 1
        if self.state is State.LIVE:
            tap = decode_tap(payload)
            if tap is None:
                self._receive_other(payload)
            else:
                self._tap(tap[0], tap[1])
        elif self.state is State.OPENING:
            self._receive_first(payload)

    def receive_text(self, text: str) -> None:
        """A text message arrived, which this protocol does not have."""
        del text
        self.close(CloseCode.UNSUPPORTED_DATA, "binary frames only")

    def heard(self) -> None:
        """A sign of life: any inbound frame, a pong included. Transports tell it before they tell what came."""
        self.seat.heard_ms = self._shared.clock.uptime_ms()
        self.seat.pinged = False

    def gone(self) -> None:
        """The socket is closed, from whichever side."""
        self._leave()
        self._move(Happening.GONE)

    def tick(self, uptime_ms: int) -> int:
        """A deadline may have passed; returns when to look again, 0 = never. Times are the monotonic clock's."""
        due_ms = 0
        match self.state:
            case State.OPENING:
                # Not from the last sign of life: a client that only pings does not put its HELLO off.
                if not self._greeted:
                    due_ms = self.seat.operated_ms + HELLO_DEADLINE_S * 1_000
                    if uptime_ms >= due_ms:
                        self.goodbye(CloseCode.HELLO_REQUIRED, f"no HELLO within {HELLO_DEADLINE_S} s")
                else:
                    due_ms = self.seat.operated_ms + JOIN_DEADLINE_MS
                    if uptime_ms >= due_ms:
                        self.goodbye(CloseCode.OVERLOADED, "the player could not be loaded in time")
            case State.LIVE:
                due_ms = self._tick_live(uptime_ms)
            case State.DRAINING:
                due_ms = self._ended_ms + LAST_WORDS_MS
                if uptime_ms >= due_ms:
                    self._abort()
            case State.CLOSED:
                return 0
        return due_ms if due_ms > uptime_ms else uptime_ms + LAST_WORDS_MS

    def crashed(self, error: Exception) -> None:
        """Its own code raised: log it once, end this session with 1011, leave everyone else alone."""
        self._shared.counters.crashes_total += 1
        log.error("a session crashed", state=self.state.name, exc_info=error)
        self.close(CloseCode.INTERNAL_ERROR, "the server failed")

    # What the door and the actor tell it

    def join(self, cell: Cell[PlayerActor], hello: Hello, login: UUID, tokens: tuple[str, str] | None) -> None:
        """The credential is good: attach to the player.

        Args:
            cell: the player's.
            hello: what the client said.
            login: the login session.
            tokens: new (access, refresh) for a login by init_data.
        """
        if self.state is State.OPENING:
            self._cell, self.login, self._tokens = cell, login, tokens
            self.lineage = hello.body.lineage
            cell.deliver(Attach(self, hello.body.channels))

    @property
    def closed(self) -> bool:
        """Whether an attachment would come too late."""
        return self.state is not State.OPENING

    def welcome(self, welcomed: Welcomed) -> None:
        """The attachment succeeded."""
        assert self._cell is not None
        assert self.login is not None
        self._move(Happening.WELCOMED)
        self.seat.take(welcomed.line, self._cell.gate, welcomed.actor, self)
        tokens, self._tokens = self._tokens, None
        self._send(welcome_frame(welcomed, login=self.login, tokens=tokens, now_ms=self._shared.clock.now_ms()))

    def detached(self) -> None:
        """The attachment has ended."""
        self.seat.leave()

    def turned_away(self, error: WireError) -> None:
        """There will be no attachment, or no longer."""
        self._say_goodbye(farewell_to_refused(error))

    def judge(self, refusal: Callable[[UUID, UUID], WireError | None]) -> None:
        """End the session if `refusal(player, login)` has a reason why it may not go on."""
        if self._cell and self.login and (error := refusal(self._cell.key, self.login)):
            self.turned_away(error)

    def tapped(self, frame: bytes, durable_seq: int) -> None:
        """Send an encoded TAPPED frame that tells `durable_seq`."""
        self.seat.told(durable_seq)
        self._send(frame)

    def reply(self, message: Result | ErrorFrame) -> None:
        """Answer an operation."""
        if isinstance(message, Result):
            self.seat.told(message.durable_seq)
        self._send(encode(message))

    def publish(self, event: Event) -> None:
        """Send a lossless event."""
        self._send(encode(event))

    @property
    def blocked(self) -> tuple[int, WireError] | None:
        """What the lineage waits for (go back N): `(seq, error)` of the operation that must come again, or None."""
        return self.seat.blocked

    def unblock(self) -> None:
        """The operation has come again."""
        self.seat.blocked = None

    def refuse(self, seq: int, error: WireError) -> None:
        """Answer operation `seq` with `error`; a retryable one blocks the lineage until `seq` comes again."""
        if error.retry_after_ms and (self.blocked is None or seq < self.blocked[0]):
            self.seat.blocked = seq, error
        self._error(seq, error)

    def durable(self, durable_seq: int) -> None:
        """Every operation up to `durable_seq` is committed: the next TAPPED says so, or a DURABLE frame soon."""
        self.seat.durable(durable_seq)

    def tell_durable(self, durable_seq: int) -> None:
        """The session has gone quiet without knowing what is committed."""
        self._send(encode(Durable(durable_seq=durable_seq)))

    def goodbye(self, code: CloseCode, reason: str) -> None:
        """End the session with GOODBYE and close code `code` (4xxx).

        Args:
            code: why, for the client's program.
            reason: why, for its developer.
        """
        self._say_goodbye(Farewell(code, reason))

    def close(self, code: CloseCode, reason: str) -> None:
        """End the session with close code `code` (1xxx), which no GOODBYE precedes."""
        if self.state not in (State.DRAINING, State.CLOSED):
            self._end(code, reason, None)

    # Inside

    def _say_goodbye(self, words: Farewell) -> None:
        if self.state not in (State.DRAINING, State.CLOSED):
            self._shared.counters.goodbyes_total += 1
            after_ms = self._shared.returns.after_ms(words.code, words.after_ms)
            self._end(words.code, words.reason, encode(Goodbye(words.code, words.reason, after_ms, words.url)))

    def _receive_first(self, payload: bytes) -> None:
        try:
            message = decode_client(payload)
        except WireError as error:
            self.goodbye(CloseCode.HELLO_REQUIRED, f"the first frame must be a HELLO: {error.message}")
            return
        if not isinstance(message, Hello):
            self.goodbye(CloseCode.HELLO_REQUIRED, "the first frame must be a HELLO, the next comes after WELCOME")
        elif self._greeted:
            self.close(CloseCode.PROTOCOL_ERROR, "a second HELLO")
        else:
            self._greeted = True
            self.seat.operated_ms = self.seat.heard_ms
            self._shared.door.greet(self, message)

    def _receive_other(self, payload: bytes) -> None:
        try:
            message = decode_client(payload)
        except Malformed as error:
            self._shared.counters.malformed_total += 1
            self._strikes += 1
            self._error(0, error)
            if self._strikes >= MAX_MALFORMED_PER_SESSION:
                self.close(CloseCode.INVALID_PAYLOAD, f"{MAX_MALFORMED_PER_SESSION} malformed frames")
            return
        except BadHello:
            self.close(CloseCode.PROTOCOL_ERROR, "a second HELLO")
            return
        except InvalidArgument as error:
            if self._flooding():
                return
            if error.seq:
                self._deliver(Spoil(self, error.seq, error))
            else:
                self._error(0, error)
            return
        match message:
            case Tap():
                self._tap(message.seq, message.count)
            case Hello():
                self.close(CloseCode.PROTOCOL_ERROR, "a second HELLO")
            case _ if self._flooding():
                pass
            case Action():
                self._act(message)
            case Ping():
                self._pong(message)

    def _tap(self, seq: int, count: int) -> None:
        self._shared.counters.taps_claimed_total += count
        now_ms = self._shared.clock.now_ms()
        frame = self.seat.tap(seq, count, now_ms)
        if frame is None:
            self.seat.operated_ms = self.seat.heard_ms
            self._deliver(Taps([(self, seq, count)]))
        else:
            self._send(frame)
            self.seat.announce_levels(now_ms)

    def _act(self, action: Action) -> None:
        self.seat.operated_ms = self.seat.heard_ms
        if (error := self._too_often(LIMIT_CLASSES[action.name])) is not None:
            self.refuse(action.seq, error)
        else:
            self._deliver(operation(self, action))

    def _pong(self, ping: Ping) -> None:
        if (error := self._too_often(LimitClass.PING)) is not None:
            self._error(0, error)
        else:
            self._send(encode(Pong(n=ping.n, client_ms=ping.client_ms, server_ms=self._shared.clock.now_ms())))

    def _flooding(self) -> bool:
        """Count a frame that is no tap; of too many the session ends, whether or not they were refused."""
        if error := self._too_often(LimitClass.FRAME):
            self.turned_away(error)
        return error is not None

    def _too_often(self, limit_class: LimitClass) -> RateLimited | None:
        if self._caller is None:
            assert self._cell is not None
            self._caller = self._shared.limits.caller(self.address, self._cell.key, is_session=True)
        return self._shared.limits.refusal(limit_class, self._caller)

    def _deliver(self, message: Taps | Operate | Spoil) -> None:
        assert self._cell is not None
        self._cell.deliver(message)

    def _error(self, seq: int, error: WireError) -> None:
        self._shared.counters.errors_sent_total += 1
        self._send(encode(ErrorFrame.of(error, seq)))

    def _send(self, frame: bytes) -> None:
        if self.state is State.LIVE:
            self.outbox.push(frame)
            self.check_pace()

    def check_pace(self) -> None:
        """Something was queued: if the reader is over the bounds, give it its grace or end it."""
        grace_until_ms = self.outbox.grace_until_ms
        if grace_until_ms and self.state is State.LIVE:
            if self.outbox.full:
                self._too_slow()
            else:
                self._shared.watch.watch(self, grace_until_ms)

    def _tick_live(self, uptime_ms: int) -> int:
        seat = self.seat
        due_ms = seat.heard_ms + PING_AFTER_S * 1_000
        if uptime_ms >= due_ms:
            if not seat.pinged:  # also after a pause of ours: nobody is given up unasked
                seat.pinged, self._pinged_ms = True, uptime_ms
                self.outbox.ping()
            due_ms = self._pinged_ms + PONG_WITHIN_S * 1_000
            if uptime_ms >= due_ms:
                self._abort()
        if grace_until_ms := self.outbox.grace_until_ms:
            if uptime_ms >= grace_until_ms:
                self._too_slow()
            due_ms = min(due_ms, grace_until_ms)
        return due_ms

    def _too_slow(self) -> None:
        self._shared.counters.slow_readers_total += 1
        self.outbox.discard()
        self.goodbye(CloseCode.SLOW_READER, "frames are read too slowly")

    def _end(self, code: CloseCode, reason: str, last: bytes | None) -> None:
        self._ended_ms = self._shared.clock.uptime_ms()
        self._move(Happening.ENDED)
        self._leave()
        self.outbox.end(code, reason, last)
        self._shared.watch.watch(self, self._ended_ms + LAST_WORDS_MS)

    def _leave(self) -> None:
        self.seat.leave()
        cell, self._cell = self._cell, None
        if cell is not None:
            cell.deliver(Detach(self))

    def _move(self, happening: Happening) -> None:
        next_state = TRANSITIONS[self.state].get(happening)
        if next_state is not None:
            self.state = next_state
