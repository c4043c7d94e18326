"""Holds a history against the database: was every operation applied as often as it was promised?

Pure: no clock, no socket, no SQL. What is promised (architecture, "Durability"; wire protocol, "Operations"):

    durable, or answered and hard   applied exactly once, whatever happened to the client
    sent, and the client lives on   applied exactly once when its queue is empty
    else                            applied at most once

The committed cursor of a lineage says which of its operations were consumed. Taps are counted against `players.taps`
and `players.xp`: the load leaves room for every tap, so each one in a consumed TAP must have been accepted, and none
twice. What hard operations must have left behind is `effects`.
"""

from collections.abc import Iterator, Mapping

from tests.fault.database_image import DatabaseImage, PlayerImage
from tests.fault.effects import check_effects
from tests.fault.history import (
    TAP,
    History,
    LineageHistory,
    Refused,
    Resulted,
    SentAgain,
    Tapped,
    Welcomed,
    durable_seq_of,
)
from tests.fault.violations import Rule, Violation, of_lineage

THEFTS_PER_S = 0.2  #: in a fight, at the least: in the mixed run a server may be down for most of one
LEVEL_XP = 100  #: level l ends at 100·l² XP (game rules, "Progression")


def check(history: History, start: Mapping[str, PlayerImage], image: DatabaseImage) -> list[Violation]:
    """Every broken promise.

    Args:
        history: what clients saw; the living ones have emptied their queues, or could not.
        start: the players before the run, by public id.
        image: the database after it.
    """
    return [
        *(violation for lineage in history.lineages for violation in _check_lineage(lineage, history, image)),
        *(violation for player in start.values() for violation in _check_player(player, history, image)),
        *check_effects(history, start, image),
        *_check_economy(image),
    ]


def check_fights(history: History, stolen: int) -> list[Violation]:
    """Whether the servers fought for players while they did not check leases.

    Args:
        history: of the run.
        stolen: players that a server took from another one that held them.
    """
    least = int(history.fight_s * THEFTS_PER_S)
    if stolen >= least:
        return []
    return [
        Violation(
            Rule.NO_FIGHT,
            "the run",
            f"in {history.fight_s:.0f} s without lease checks servers take at least {least} players from each other",
            f"it was {stolen}",
        )
    ]


def _check_lineage(lineage: LineageHistory, history: History, image: DatabaseImage) -> Iterator[Violation]:
    cursor = image.cursors.get((lineage.player, lineage.lineage), 0)
    if cursor < lineage.durable_seq:
        yield of_lineage(
            Rule.DURABLE_LOST,
            lineage,
            f"operations up to {lineage.durable_seq} were told durable",
            f"the committed cursor is {cursor}",
            seq=cursor + 1,
        )
    if cursor > lineage.last_sent_seq:
        yield of_lineage(
            Rule.FROM_NOWHERE, lineage, f"{lineage.last_sent_seq} was the last seq sent", f"the cursor is {cursor}"
        )
    if lineage.lives:
        yield from _check_living(lineage, cursor)
    yield from _check_told(lineage, history)
    yield from _check_order(lineage)
    sent_again = {event.seq for event in lineage.events if isinstance(event, SentAgain)}
    for seq, answers in lineage.answers().items():
        count = lineage.operations[seq].count
        allowed = (0, count) if seq in sent_again else (count,)  # a repeat counts nothing
        for answer in answers:
            if isinstance(answer, Tapped) and answer.accepted not in allowed:
                yield of_lineage(
                    Rule.TAP_SHORT,
                    lineage,
                    f"{count} taps fit into bucket and energy",
                    f"{answer.accepted} were accepted at {answer.at_s:.3f} s",
                    seq=seq,
                )


def _check_living(lineage: LineageHistory, cursor: int) -> Iterator[Violation]:
    answered = lineage.answers()
    resumed = max((event.applied_seq for event in lineage.events if isinstance(event, Welcomed)), default=0)
    for seq, operation in lineage.operations.items():
        if seq > cursor:
            what = "it was answered, and the client lives on" if seq in answered else "the client lives on"
            yield of_lineage(
                Rule.LIVING_LOST,
                lineage,
                f"{operation.name}: {what} and sent it {operation.sendings} times",
                f"the committed cursor is {cursor}",
                seq=seq,
            )
        elif seq not in answered and not (operation.name == TAP and seq <= resumed):
            yield of_lineage(
                Rule.UNANSWERED, lineage, f"{operation.name} was sent and is applied", "no answer ever came", seq=seq
            )


def _check_told(lineage: LineageHistory, history: History) -> Iterator[Violation]:
    """What later frames say must not be below what earlier ones had told to be durable.

    That is what leases are for. Where they are not checked a server may tell what it remembers until its next flush is
    refused; then nothing of it counts.
    """
    durable_seq = durable_xp = 0
    tapped_xp: dict[int, int] = {}  #: seq → XP of answers not yet known to be durable
    for event in lineage.events:
        fought = history.fought_at(event.at_s)
        if not fought and isinstance(event, Welcomed) and min(event.applied_seq, event.durable_seq) < durable_seq:
            yield of_lineage(
                Rule.CURSOR_BACK,
                lineage,
                f"operations up to {durable_seq} had been told durable",
                f"a WELCOME at {event.at_s:.3f} s said applied {event.applied_seq}, durable {event.durable_seq}",
                seq=min(event.applied_seq, event.durable_seq) + 1,
            )
        if not fought and isinstance(event, Welcomed | Tapped) and event.xp < durable_xp:
            yield of_lineage(
                Rule.NUMBERS_BACK,
                lineage,
                f"{durable_xp} XP had been told durable",
                f"a {type(event).__name__} at {event.at_s:.3f} s said {event.xp}",
            )
        if isinstance(event, Welcomed):
            tapped_xp.clear()  # what was not durable may have been lost, and come again with other numbers
        elif isinstance(event, Tapped) and event.accepted:  # a repeat is answered with later numbers than its own
            tapped_xp[event.seq] = event.xp
        durable_seq = max(durable_seq, durable_seq_of(event))
        for seq in [seq for seq in tapped_xp if seq <= durable_seq]:
            durable_xp = max(durable_xp, tapped_xp.pop(seq))


def _check_order(lineage: LineageHistory) -> Iterator[Violation]:
    """Go back N: after a retryable error nothing later runs until that operation was sent again.

    An answer to the operation itself shows that it came again: of two copies under way the first may have been refused.
    """
    refused: set[int] = set()
    for event in lineage.events:
        match event:
            case Welcomed():
                refused.clear()
            case SentAgain(_, seq):
                refused.discard(seq)
            case Refused(seq=seq, final=False):
                if not refused or seq < min(refused):
                    refused = {seq}
            case Tapped(seq=seq) | Resulted(seq=seq):
                refused.discard(seq)
                if refused and seq > min(refused):
                    yield of_lineage(
                        Rule.OVERTAKEN,
                        lineage,
                        f"seq {min(refused)} was refused as retryable and not sent again",
                        f"{lineage.operations[seq].name} was answered at {event.at_s:.3f} s",
                        seq=seq,
                    )


def _check_player(before: PlayerImage, history: History, image: DatabaseImage) -> Iterator[Violation]:
    who = f"player {before.public_id}"
    after = image.players.get(before.public_id)
    if after is None:
        yield Violation(Rule.TAPS_LOST, who, "it was there at the start", "it is not in the database")
        return
    consumed, parts = 0, []
    for lineage in history.of_player(before.public_id):
        taps = _taps_in(lineage, image.cursors.get((lineage.player, lineage.lineage), 0))
        consumed += taps
        parts.append(f"{lineage.client}/{lineage.lineage.hex()[:8]}: {taps}")
    for column, found in (("taps", after.taps - before.taps), ("xp", after.xp - before.xp)):
        if found != consumed:
            yield Violation(
                Rule.TAPS_LOST if found < consumed else Rule.TAPS_TWICE,
                who,
                f"the cursors say that {consumed} taps were applied ({', '.join(parts)})",
                f"{column} grew by {found}",
            )
    levels = range(level_of(before.xp) + 1, level_of(after.xp) + 1)
    expected = {f"level:{before.id}:{level}" for level in levels}
    found_keys = {key for key in image.ledger if key.startswith(f"level:{before.id}:")}
    for key in sorted(expected - found_keys):
        yield Violation(Rule.EFFECT_MISSING, who, "the level was reached", f"the ledger has no {key}")
    for key in sorted(found_keys - expected):
        yield Violation(Rule.EFFECT_TWICE, who, "the level was not reached in this run", f"the ledger has {key}")
    if after.balance_mpt < 0 or not 0 <= after.unposted_mpt <= after.balance_mpt:
        yield Violation(
            Rule.NEGATIVE,
            who,
            "0 ≤ unposted ≤ balance",
            f"{after.unposted_mpt} of {after.balance_mpt} mPT are unposted",
        )
    if after.balance_mpt - after.unposted_mpt != after.ledger_mpt:
        yield Violation(
            Rule.LEDGER,
            who,
            f"balance − unposted = {after.balance_mpt - after.unposted_mpt} mPT",
            f"its ledger entries sum to {after.ledger_mpt}",
        )


def _taps_in(lineage: LineageHistory, cursor: int) -> int:
    """Taps in what the cursor says was consumed, without what a final error refused."""
    refused = {
        seq for seq, answers in lineage.answers().items() if any(isinstance(answer, Refused) for answer in answers)
    }
    return sum(operation.count for seq, operation in lineage.operations.items() if seq <= cursor and seq not in refused)


def level_of(xp: int) -> int:
    """The level that so much XP brings."""
    level = 1
    while LEVEL_XP * level * level <= xp:
        level += 1
    return level


def _check_economy(image: DatabaseImage) -> Iterator[Violation]:
    sums = image.sums
    if sums.balances_mpt + sums.escrow_mpt != sums.minted_mpt - sums.burned_mpt:
        yield Violation(
            Rule.LEDGER,
            "all players",
            f"minted {sums.minted_mpt} − burned {sums.burned_mpt} = {sums.minted_mpt - sums.burned_mpt} mPT",
            f"balances {sums.balances_mpt} + escrow {sums.escrow_mpt} = {sums.balances_mpt + sums.escrow_mpt}",
        )
    for row in image.unreconciled:
        yield Violation(Rule.LEDGER, "ledger_reconciliation", "the view is empty", row)
    for letter in image.dead_letters:
        yield Violation(Rule.DEAD_LETTER, "write_dead_letters", "every write of this run is good", letter)
