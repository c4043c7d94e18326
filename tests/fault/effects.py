"""What hard operations must have left in the database: exactly once where they succeeded, nothing where they did not.

The answer that is stored with the effect says how an operation ended, also where the client never heard of it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from tests.fault.database_image import DatabaseImage, PlayerImage
from tests.fault.history import History, LineageHistory, Operation, Refused, Resulted, Tapped
from tests.fault.violations import Rule, Violation, of_lineage

RESULT, ERROR = 66, 67  #: op codes of stored answers
UPGRADE_COLUMNS = {
    "tap_level": "tap_level",
    "energy_cap": "energy_cap_level",
    "energy_regen": "energy_regen_level",
    "offline": "offline_level",
}
BOOSTS = ("double", "full_energy")
BOOSTS_A_DAY = 3
OWN_KEYS = ("upgrade:", "transfer_out:", "transfer_fee:")  #: ledger keys that only hard operations make
TRANSFER = "transfer:"  #: of grants, and of the ledger entry that pays one out


def check_effects(history: History, start: Mapping[str, PlayerImage], image: DatabaseImage) -> Iterator[Violation]:
    """Every hard operation that is answered wrongly, or that has too much or too little effect."""
    expected_ledger: dict[str, int] = {}
    expected_grants: dict[str, tuple[str, int]] = {}
    upgrades: Counter[tuple[str, str]] = Counter()
    boosts: Counter[tuple[str, str, int]] = Counter()  #: (player, kind, left that day) → how many were told so
    for lineage in history.lineages:
        owner = start[lineage.player]
        cursor = image.cursors.get((lineage.player, lineage.lineage), 0)
        yield from _check_answers(lineage, cursor, image)
        for operation in lineage.operations.values():
            stored = image.results.get((lineage.player, lineage.lineage, operation.seq))
            if not operation.hard or stored is None or stored[0] != RESULT:
                continue
            result = stored[2]
            match operation.name:
                case "upgrade.buy":
                    expected_ledger[f"upgrade:{owner.id}:{result['kind']}:{result['level']}"] = -result["price_mpt"]
                    upgrades[owner.public_id, UPGRADE_COLUMNS[result["kind"]]] += 1
                case "transfer.send":
                    suffix = f"{owner.id}:{lineage.lineage.hex()}:{operation.seq}"
                    expected_ledger[f"transfer_out:{suffix}"] = -result["amount_mpt"]
                    expected_ledger[f"transfer_fee:{suffix}"] = -result["fee_mpt"]
                    expected_grants[f"{TRANSFER}{suffix}"] = (result["to"], result["amount_mpt"])
                case _:
                    boosts[owner.public_id, result["kind"], result["left_today"]] += 1
    yield from _check_ledger(expected_ledger, image)
    yield from _check_grants(expected_grants, history, image)
    for player, before in start.items():
        after = image.players.get(player, before)
        for column in UPGRADE_COLUMNS.values():
            yield from _compare(
                f"player {player}",
                f"purchases of {column}",
                upgrades[player, column],
                after.levels[column] - before.levels[column],
            )
        yield from _check_boosts(player, boosts, image)


def _check_answers(lineage: LineageHistory, cursor: int, image: DatabaseImage) -> Iterator[Violation]:
    answers = lineage.answers()
    for seq, operation in lineage.operations.items():
        if not operation.hard:
            continue
        given = [content(answer) for answer in answers.get(seq, [])]
        stored = image.results.get((lineage.player, lineage.lineage, seq))
        if given and seq > cursor:
            yield of_lineage(
                Rule.HARD_GONE, lineage, f"{operation.name} was answered {given[0]}", f"the cursor is {cursor}", seq=seq
            )
        elif seq <= cursor and stored is None:
            yield of_lineage(
                Rule.HARD_GONE,
                lineage,
                f"{operation.name} is consumed, and was answered {given[0] if given else 'nothing yet'}",
                "no answer is stored",
                seq=seq,
            )
        elif seq > cursor and stored is not None:
            yield of_lineage(Rule.EFFECT_TWICE, lineage, f"the cursor is {cursor}", f"{stored} is stored", seq=seq)
        yield from _check_sameness(lineage, operation, given, stored)


def _check_sameness(
    lineage: LineageHistory, operation: Operation, given: list[list[Any]], stored: list[Any] | None
) -> Iterator[Violation]:
    all_of_them = [*given, *([] if stored is None else [stored_content(stored)])]
    for other in all_of_them[1:]:
        if other != all_of_them[0]:
            yield of_lineage(
                Rule.ANSWERS_DIFFER,
                lineage,
                f"{operation.name} was answered {all_of_them[0]}",
                f"also {other}",
                seq=operation.seq,
            )
            return


def content(answer: Tapped | Resulted | Refused) -> list[Any]:
    """What of an answer must be the same every time."""
    match answer:
        case Resulted():
            return [RESULT, answer.result]
        case Refused():
            return [ERROR, answer.code, answer.name, answer.message]
        case Tapped():
            return [answer.accepted]


def stored_content(frame: list[Any]) -> list[Any]:
    """The same of a stored frame: `[66, seq, result, durable]` or `[67, seq, code, name, message, retry]`."""
    return [RESULT, frame[2]] if frame[0] == RESULT else [ERROR, *frame[2:5]]


def _check_ledger(expected: Mapping[str, int], image: DatabaseImage) -> Iterator[Violation]:
    found = {key: entry.amount_mpt for key, entry in image.ledger.items() if key.startswith(OWN_KEYS)}
    for key in sorted(expected.keys() | found.keys()):
        promised, there = expected.get(key), found.get(key)
        if promised == there:
            continue
        if there is None:
            yield Violation(
                Rule.EFFECT_MISSING, f"ledger key {key}", f"{promised} mPT were to be posted", "it is not there"
            )
        elif promised is None:
            yield Violation(
                Rule.EFFECT_REFUSED, f"ledger key {key}", "no operation that succeeded made it", f"it moved {there} mPT"
            )
        else:
            yield Violation(Rule.LEDGER, f"ledger key {key}", f"{promised} mPT were to be posted", f"it moved {there}")


def _check_grants(
    expected: Mapping[str, tuple[str, int]], history: History, image: DatabaseImage
) -> Iterator[Violation]:
    found = {key: (grant.player, grant.amount_mpt) for key, grant in image.grants.items() if key.startswith(TRANSFER)}
    for key in sorted(expected.keys() | found.keys()):
        promised, there = expected.get(key), found.get(key)
        if promised != there:
            rule = Rule.EFFECT_MISSING if there is None else Rule.EFFECT_REFUSED if promised is None else Rule.LEDGER
            yield Violation(rule, f"grant {key}", f"{promised or 'nothing'} was owed", f"{there or 'nothing'} is there")
    living = {lineage.player for lineage in history.lineages if lineage.lives}
    for key, grant in image.grants.items():
        entry = image.ledger.get(key)
        if grant.applied and grant.amount_mpt and (entry is None or entry.amount_mpt != grant.amount_mpt):
            yield Violation(
                Rule.EFFECT_MISSING,
                f"grant {key}",
                f"{grant.amount_mpt} mPT are marked as given to player {grant.player}",
                f"the ledger has {'nothing' if entry is None else entry.amount_mpt} under that key",
            )
        if not grant.applied and entry is not None:
            yield Violation(Rule.EFFECT_TWICE, f"grant {key}", "it is still open", "the ledger has it already")
        if not grant.applied and grant.player in living:
            yield Violation(Rule.GRANT_OPEN, f"grant {key}", f"player {grant.player} is online", "it is still open")


def _check_boosts(player: str, told: Mapping[tuple[str, str, int], int], image: DatabaseImage) -> Iterator[Violation]:
    """Each day the first boost leaves two, the next one, the last none; a day begins again with the first."""
    for kind in BOOSTS:
        left = [told.get((player, kind, n), 0) for n in range(BOOSTS_A_DAY)]
        for n, more in pairwise(range(BOOSTS_A_DAY)):
            if left[n] > left[more]:
                yield Violation(
                    Rule.EFFECT_TWICE,
                    f"player {player}",
                    f"{left[more]} times a boost {kind} left {more} for the day",
                    f"{left[n]} times one left {n}",
                )
        used = image.boosts_used.get((player, kind))
        if any(left) and used is None:
            yield Violation(
                Rule.EFFECT_MISSING, f"player {player}", f"{sum(left)} boosts {kind} were used", "none is counted"
            )
        if used and not (used <= BOOSTS_A_DAY and left[BOOSTS_A_DAY - used]):
            yield Violation(
                Rule.EFFECT_TWICE,
                f"player {player}",
                f"nobody was told of a boost {kind} that left {BOOSTS_A_DAY - used} for the day",
                f"{used} are counted",
            )


def _compare(who: str, what: str, succeeded: int, found: int) -> Iterator[Violation]:
    if found != succeeded:
        rule = Rule.EFFECT_MISSING if found < succeeded else Rule.EFFECT_TWICE
        yield Violation(rule, who, f"{succeeded} {what} succeeded", f"the database has {found}")
