"""The player's actor: the only writer of one player's state, in memory and in the database.

A turn is `(state, message, now) → (state', answers, events, writes)`. Everything the turns wrote since the last flush
is handed to the write-behind by `take_writes` as one value that commits whole (`journal.py`).
"""

import dataclasses

import msgspec

from gameserver.actors.actor import Errand, Message
from gameserver.actors.errands import look_up, recall
from gameserver.actors.feed import CHANNEL, Feed
from gameserver.actors.habitat import Habitat
from gameserver.actors.journal import FROM_ESCROW, Journal
from gameserver.actors.lineage import Lineage, Lineages, PendingAnswer
from gameserver.actors.messages import (
    Attach,
    Detach,
    Grant,
    Operate,
    Origin,
    Spoil,
    Taps,
    Turn,
    Welcomed,
)
from gameserver.actors.player_view import changed_keys, view_of
from gameserver.actors.suspicion import Suspicion
from gameserver.errors import Internal, RateLimited, Unavailable, WireError
from gameserver.logs import get_logger
from gameserver.refusals import refusal
from gameserver.wire.catalogue import GIVE_UP, GrantReceived, LevelUp, RankUp
from gameserver.wire.messages import ChannelState, ErrorFrame, Event, Repeated, Result, State
from gameserver.wire.ops import CloseCode
from hotpath import rules
from hotpath.player_state import PlayerState
from hotpath.tap_path import TapLine
from persistence.records import GrantKind, GrantRow, LoadedPlayer, PlayerWrites

MAX_SOCKETS = 8  #: of one player at once; the oldest goes

log = get_logger(__name__)


class PlayerActor:
    """One player in memory.

    Args:
        loaded: what the claim brought.
        habitat: what it shares with all players of the node.
    """

    __slots__ = (
        "_expelled",
        "_feed",
        "_grants",
        "_habitat",
        "_lineages",
        "_origins",
        "_suspicion",
        "created_ms",
        "display_name",
        "journal",
        "owner_epoch",
        "player_id",
        "public_id",
        "releasing",
        "state",
    )

    def __init__(self, loaded: LoadedPlayer, habitat: Habitat) -> None:
        now_ms = habitat.clock.now_ms()
        self.player_id = loaded.id
        self.public_id = loaded.public_id
        self.display_name = loaded.display_name
        self.owner_epoch = loaded.owner_epoch  #: fencing token of this activation
        self.created_ms = loaded.created_ms  #: when the player registered
        self.state = PlayerState(**dataclasses.asdict(loaded.columns), generation=loaded.generation)
        self.releasing = False  #: the next writes are the last: they give the player up
        self._habitat = habitat
        self._expelled = False
        self._origins: list[Origin] = []
        self._lineages = Lineages({key: Lineage(seq) for key, seq in loaded.cursors.items()})
        self._feed = Feed(loaded.owner_epoch)
        self._grants: set[int] = set()
        self._suspicion = Suspicion(loaded, habitat.suspicions, now_ms)
        #: where operations enter what they do
        self.journal = Journal(loaded, self.state, self._suspicion, now_ms, habitat.writer.backlog)
        try:
            for grant in loaded.grants:
                self._apply_grant(grant, now_ms)
        except BaseException:
            self.journal.give_up()  # nobody will ever have this actor
            raise

    # What others ask of it

    @property
    def in_use(self) -> bool:
        """Whether a socket is attached."""
        return bool(self._origins)

    def snapshot(self, now_ms: int) -> State:
        """The state as clients see it: whole, and right for `now_ms`."""
        return view_of(self.state, self._habitat.world, now_ms)

    def changes_since(self, before: State, now_ms: int) -> dict[str, int | str]:
        """The keys of the state that are other than they were, as clients know them."""
        return changed_keys(before, self.snapshot(now_ms))

    def expel(self, reason: str) -> None:
        """Tell every socket to resynchronise; its state here is not used any more, and nothing more of it is written.

        Write-behind may still know it as dirty: what it goes by has been refused, or the next activation has it.
        """
        self._expelled = True
        self.journal.give_up()
        for origin in list(self._origins):
            origin.detached()
            origin.goodbye(CloseCode.RESYNC, reason)
        self._origins.clear()

    # What the sockets' taps tell it

    def touched(self) -> None:
        """Something is to be written."""
        if not self.state.awaiting_flush:
            self.state.awaiting_flush = True
            self._habitat.writer.mark_dirty(self)

    def announce_levels(self, before: int, now_ms: int) -> None:
        """One `level.up` for each level passed since `before`, one `rank.up` for each rank, in order."""
        self._habitat.tally.levels_total += self.state.level - before
        for level in range(before + 1, self.state.level + 1):
            reward_mpt = rules.level_rewards_mpt(level - 1, level)
            self._publish("level.up", LevelUp(level, reward_mpt), now_ms)
            rank = rules.rank_of(level)
            if rank != rules.rank_of(level - 1):
                self._publish("rank.up", RankUp(rules.RANK_NAMES[rank], level), now_ms)

    # What the write-behind asks of it

    def take_writes(self) -> PlayerWrites | None:
        """Everything since the last call, to be committed whole; None when there is nothing, or it was expelled."""
        self.state.awaiting_flush = False  # first: if this call breaks, the next change asks for another
        if self._expelled:
            return None
        return self.journal.take(self.state, self._habitat.clock, self.releasing)

    #: `writes` are in the database: their cursors know, and whoever is attached there. No frame of Python for each.
    committed = staticmethod(PlayerWrites.confirm)

    def fenced(self) -> None:
        """Another owner claimed the player: nothing of this state may be written any more."""
        self._habitat.dropped(self.public_id, "the player is served elsewhere now", self)

    def rejected(self, writes: PlayerWrites, error: Exception) -> None:
        """PostgreSQL refused `writes` for good: what it holds is the truth, not this state."""
        why = refusal(error).message
        log.error("the database refused a player's writes", player=self.player_id, writes=repr(writes), exc_info=error)
        reason = f"the last operations could not be kept: {why}"
        self._habitat.dropped(self.public_id, reason, self, quarantine=True)

    # Turns

    def handle(self, message: Message, now_ms: int) -> Errand | None:
        """One turn.

        Returns:
            What an operation has to wait for before its turn.

        Raises:
            Exception: a bug of ours; nothing has changed then.
        """
        match message:
            case Taps():
                while message.frames:
                    self._tap(*message.frames[0], now_ms)
                    message.frames.pop(0)
            case Operate():
                return self._operate(message, now_ms)
            case Spoil():
                self._spoil(message)
            case Attach():
                self._attach(message, now_ms)
            case Detach():
                self._detach(message.origin)
                self.state.mark_seen(now_ms)
                self.touched()
            case Grant():
                self._apply_grant(message.row, now_ms)
            case _:
                raise TypeError(f"a player's actor does not understand {message!r}")
        return None

    def failed(self, message: Message) -> Message | None:
        """The turn raised: consume the operation, answer `internal`, give back what of the message is still to do."""
        internal = Internal("the server failed at this operation; it is consumed and changed nothing")
        match message:
            case Taps():
                origin, seq, _ = message.frames.pop(0)
                self._spoil(Spoil(origin, seq, internal))
                return message if message.frames else None
            case Operate():
                self._fail(message, internal)
            case Attach():
                message.origin.goodbye(CloseCode.RESYNC, "the server failed; connect again")
            case _:
                pass
        return None

    def _tap(self, origin: Origin, seq: int, count: int, now_ms: int) -> None:
        lineage = self._admit(origin, seq)
        if lineage is None:
            return
        assert lineage.line is not None, "a lineage with a socket has its line"
        level = self.state.level
        if seq > lineage.cursor.applied_seq:
            self.touched()
        origin.tapped(lineage.line.answer(seq, count, now_ms), lineage.cursor.durable_seq)
        if self.state.level != level:
            self.announce_levels(level, now_ms)

    def _operate(self, message: Operate, now_ms: int) -> Errand | None:
        origin, seq = message.origin, message.seq
        lineage = self._admit(origin, seq)
        if lineage is None:
            return None
        if message.failure is not None and message.failure.retry_after_ms:
            origin.refuse(seq, message.failure)
            return None
        if seq <= lineage.cursor.applied_seq:
            return self._repeat(lineage, message, now_ms)
        if message.hard and self._habitat.writer.degraded:
            origin.refuse(seq, Unavailable("the database is away"))
            return None
        if message.lookup is not None:
            return lambda: look_up(message, self._habitat.directory)
        if message.failure is not None:
            self._answer(lineage, message, ErrorFrame.of(message.failure, seq))
            return None
        before, mark = self.state.snapshot(), self.journal.mark()
        level = self.state.level
        answer: Result | ErrorFrame
        try:
            turn = Turn(now_ms, origin.lineage, seq, message.found)
            result = msgspec.Raw(msgspec.msgpack.encode(message.handler(self, message.args, turn)))
        except BaseException as error:
            self.state.restore(before)
            self.journal.rewind(mark)
            if not isinstance(error, WireError):
                raise
            if error.retry_after_ms:
                origin.refuse(seq, error)
                return None
            answer = ErrorFrame.of(error, seq)
        else:
            answer = Result(seq=seq, result=result, durable_seq=lineage.cursor.durable_seq)
        self._answer(lineage, message, answer)
        if self.state.level != level:
            self.announce_levels(level, now_ms)
        return None

    def _answer(self, lineage: Lineage, message: Operate, answer: Result | ErrorFrame) -> None:
        """Consume the operation, and answer it: now, or once it is committed."""
        self._consume(lineage, message.seq)
        if message.hard:
            self.journal.answers(PendingAnswer(message.origin.lineage, lineage, answer))
            self._habitat.writer.hurry(self)
        else:
            lineage.keep(answer)
            message.origin.reply(answer)

    def _repeat(self, lineage: Lineage, message: Operate, now_ms: int) -> Errand | None:
        origin, seq = message.origin, message.seq
        pending = lineage.pending.get(seq) if lineage.pending else None
        if pending is not None:
            pending.origin = origin  # gets it with the commit
            return None
        answer = lineage.answer(seq) or (message.found if message.recalled else None)
        may_be_stored = message.hard or message.name == GIVE_UP  # what is given up may have been a hard one
        if answer is None and may_be_stored and not message.recalled:
            return lambda: recall(message, self._habitat.directory, self.player_id)
        if message.failure is not None:
            answer = ErrorFrame.of(message.failure, seq)
        elif answer is None:
            answer = Result(seq, Repeated(self.snapshot(now_ms)), lineage.cursor.durable_seq)
        lineage.give(answer)
        return None

    def _fail(self, message: Operate, error: WireError) -> None:
        """Its turn raised."""
        lineage = self._admit(message.origin, message.seq)
        if lineage is not None and message.seq > lineage.cursor.applied_seq:
            self._answer(lineage, message, ErrorFrame.of(error, message.seq))

    def _spoil(self, message: Spoil) -> None:
        lineage = self._admit(message.origin, message.seq)
        if lineage is not None:
            if message.seq > lineage.cursor.applied_seq:
                self._consume(lineage, message.seq)
                lineage.keep(ErrorFrame.of(message.error, message.seq))
            message.origin.refuse(message.seq, message.error)

    def _attach(self, message: Attach, now_ms: int) -> None:
        origin = message.origin
        if origin.closed:
            return
        try:
            lineage = self._lineages.find(origin.lineage)
        except RateLimited as error:
            origin.turned_away(error)
            return
        if lineage.origin is not None:
            self._detach(older := lineage.origin)
            older.goodbye(CloseCode.LINEAGE_TAKEN, "another socket goes on with this lineage")
        if len(self._origins) >= MAX_SOCKETS:
            self._detach(oldest := self._origins[0])
            oldest.goodbye(CloseCode.TOO_MANY_SOCKETS, f"more than {MAX_SOCKETS} sockets of this player")
        self._lineages[origin.lineage] = lineage  # an unused one goes with its older socket
        self.journal.watch(origin.lineage, lineage)
        lineage.origin = origin
        lineage.line = TapLine(
            self.state, lineage.cursor, self._habitat.world, self._habitat.tally, self._suspicion.signals
        )
        self._origins.append(origin)
        self.state.reopen_bucket(now_ms)
        missed: list[Event] | None = None
        seen = message.channels.get(CHANNEL)
        if seen is not None:
            missed = self._feed.since(seen.epoch, seen.offset, now_ms)
        position = ChannelState(self._feed.epoch, self._feed.offset, missed is not None)
        origin.welcome(
            Welcomed(
                public_id=self.public_id,
                applied_seq=lineage.cursor.applied_seq,
                durable_seq=lineage.cursor.durable_seq,
                state=self.snapshot(now_ms),
                channels={CHANNEL: position},
                line=lineage.line,
                actor=self,
            )
        )
        for event in missed or ():
            origin.publish(event)

    def _detach(self, origin: Origin) -> None:
        # Only what this very socket holds: an older connection's clean-up never harms a newer one.
        if origin in self._origins:
            self._origins.remove(origin)
        lineage = self._lineages.get(origin.lineage)
        if lineage is not None and lineage.origin is origin:
            origin.detached()
            lineage.origin = lineage.line = None
            self._lineages.rest(origin.lineage)

    def _admit(self, origin: Origin, seq: int) -> Lineage | None:
        """The lineage of `origin`, or None where the operation must not run (and has been answered)."""
        lineage = self._lineages.get(origin.lineage)
        if lineage is None or lineage.origin is not origin:
            return None  # taken over or gone meanwhile: the client sends again what was not answered
        if origin.blocked is not None:
            blocked_seq, error = origin.blocked
            if seq > blocked_seq:
                origin.refuse(seq, error)
                return None
            if seq == blocked_seq:
                origin.unblock()
        return lineage

    def _consume(self, lineage: Lineage, seq: int) -> None:
        lineage.cursor.advance(seq)
        self.touched()

    def _apply_grant(self, grant: GrantRow, now_ms: int) -> None:
        if grant.id in self._grants:
            return
        before = self.snapshot(now_ms) if self._origins else None
        if grant.kind is GrantKind.FULL_ENERGY:
            self.state.fill_energy(now_ms)
            credited_mpt = 0
        else:
            credited_mpt = self.state.credit(grant.amount_mpt, grant.kind not in FROM_ESCROW)
        self._grants.add(grant.id)
        self.journal.grant_applied(grant, credited_mpt, now_ms)
        self.touched()
        if before is not None:
            changes = self.changes_since(before, now_ms)
            self._publish("grant.received", GrantReceived(grant.kind, credited_mpt, changes), now_ms)

    def _publish(self, name: str, data: object, now_ms: int) -> None:
        event = self._feed.append(name, data, now_ms)
        for origin in self._origins:
            origin.publish(event)
