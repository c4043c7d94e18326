"""Hard operations in histories and databases made by hand: answered alike, and in effect exactly once."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fault.database_image import DatabaseImage, GrantImage, LedgerImage, PlayerImage
from tests.fault.effects import check_effects
from tests.fault.history import History, Operation, Refused, Resulted
from tests.fault.violations import Rule

SENDER, RECEIVER, LINEAGE = "sender", "receiver", b"l" * 16
SUFFIX = f"1:{LINEAGE.hex()}"
LEVELS = {"tap_level": 1, "energy_cap_level": 1, "energy_regen_level": 1, "offline_level": 0}
START = {
    name: PlayerImage(number, name, taps=0, xp=0, balance_mpt=0, unposted_mpt=0, levels=LEVELS)
    for number, name in enumerate((SENDER, RECEIVER), start=1)
}
UPGRADE = {"kind": "tap_level", "level": 2, "price_mpt": 1_000_000, "state": {"tap_level": 2}}
TRANSFER = {"to": RECEIVER, "amount_mpt": 5_000, "fee_mpt": 250, "state": {"tokens": 1}}
INSUFFICIENT = [67, 3, 7, "insufficient", "not enough tokens", 0]


class Case:
    """An upgrade, a transfer, a purchase that was refused and a boost; tests spoil one thing."""

    def __init__(self) -> None:
        self.history = History()
        self.lineage = self.history.new_lineage("c1", SENDER, LINEAGE)
        self.image = DatabaseImage(players=dict(START), cursors={(SENDER, LINEAGE): 4})
        self.act(1, "upgrade.buy", UPGRADE)
        self.act(2, "transfer.send", TRANSFER)
        self.act(4, "boost.use", {"kind": "double", "left_today": 2, "state": {}})
        self.lineage.operations[3] = Operation(3, "upgrade.buy", {"kind": "offline"}, sendings=1)
        self.lineage.events.append(Refused(1.0, 3, 7, "insufficient", "not enough tokens", 0))
        self.image.results[SENDER, LINEAGE, 3] = INSUFFICIENT
        self.image.players[SENDER] = replace(START[SENDER], levels=LEVELS | {"tap_level": 2})
        self.image.ledger["upgrade:1:tap_level:2"] = LedgerImage(SENDER, "upgrade", -1_000_000)
        self.image.ledger[f"transfer_out:{SUFFIX}:2"] = LedgerImage(SENDER, "transfer_sent", -5_000)
        self.image.ledger[f"transfer_fee:{SUFFIX}:2"] = LedgerImage(SENDER, "transfer_fee", -250)
        self.image.ledger[f"transfer:{SUFFIX}:2"] = LedgerImage(RECEIVER, "transfer_received", 5_000)
        self.image.grants[f"transfer:{SUFFIX}:2"] = GrantImage(RECEIVER, "transfer_received", 5_000, applied=True)
        self.image.boosts_used |= {(SENDER, "double"): 1, (SENDER, "full_energy"): 0}

    def act(self, seq: int, name: str, result: dict[str, Any]) -> None:
        self.lineage.operations[seq] = Operation(seq, name, {}, sendings=1)
        self.lineage.events.append(Resulted(1.0, seq, result, seq))
        self.image.results[SENDER, LINEAGE, seq] = [66, seq, result, seq]

    def found(self) -> list[Rule]:
        return [violation.rule for violation in check_effects(self.history, START, self.image)]


@pytest.fixture
def case() -> Case:
    return Case()


def test_right_effects_pass(case: Case) -> None:
    assert case.found() == []


def test_a_repeat_with_the_same_answer_passes_whatever_is_durable_by_then(case: Case) -> None:
    case.lineage.events.append(Resulted(2.0, 1, UPGRADE, 4))
    assert case.found() == []


def test_another_answer_to_the_same_operation_is_found(case: Case) -> None:
    case.lineage.events.append(Resulted(2.0, 1, UPGRADE | {"level": 3}, 4))
    assert case.found() == [Rule.ANSWERS_DIFFER]


def test_an_answer_that_is_not_the_stored_one_is_found(case: Case) -> None:
    case.lineage.events.append(Refused(2.0, 2, 3, "forbidden", "too young", 0))
    assert case.found() == [Rule.ANSWERS_DIFFER]


def test_an_answered_operation_above_the_cursor_is_found(case: Case) -> None:
    case.image.cursors[SENDER, LINEAGE] = 3
    del case.image.results[SENDER, LINEAGE, 4]
    case.image.boosts_used.clear()
    assert case.found() == [Rule.HARD_GONE]


def test_a_consumed_operation_without_a_stored_answer_is_found(case: Case) -> None:
    del case.image.results[SENDER, LINEAGE, 3]
    assert case.found() == [Rule.HARD_GONE]


def test_a_stored_answer_above_the_cursor_is_found(case: Case) -> None:
    case.lineage.operations[5] = Operation(5, "upgrade.buy", {}, sendings=1)
    case.image.results[SENDER, LINEAGE, 5] = [67, 5, 7, "insufficient", "not enough tokens", 0]
    assert case.found() == [Rule.EFFECT_TWICE]


@pytest.mark.parametrize(
    "key", ["upgrade:1:tap_level:2", f"transfer_out:{SUFFIX}:2", f"transfer_fee:{SUFFIX}:2", f"transfer:{SUFFIX}:2"]
)
def test_a_missing_ledger_entry_is_found(case: Case, key: str) -> None:
    del case.image.ledger[key]
    assert case.found() == [Rule.EFFECT_MISSING]


def test_a_missing_grant_is_found(case: Case) -> None:
    case.image.grants.clear()
    assert case.found() == [Rule.EFFECT_MISSING]


def test_the_wrong_amount_is_found(case: Case) -> None:
    case.image.ledger["upgrade:1:tap_level:2"] = LedgerImage(SENDER, "upgrade", -999_999)
    assert case.found() == [Rule.LEDGER]
    case = Case()
    case.image.grants[f"transfer:{SUFFIX}:2"] = GrantImage(SENDER, "transfer_received", 5_000, applied=True)
    assert case.found() == [Rule.LEDGER]


def test_an_effect_of_a_refused_operation_is_found(case: Case) -> None:
    case.image.ledger["upgrade:1:offline:1"] = LedgerImage(SENDER, "upgrade", -5_000_000)
    assert case.found() == [Rule.EFFECT_REFUSED]
    del case.image.ledger["upgrade:1:offline:1"]
    case.image.grants[f"transfer:{SUFFIX}:3"] = GrantImage(RECEIVER, "transfer_received", 1, applied=False)
    assert case.found() == [Rule.EFFECT_REFUSED]


@pytest.mark.parametrize(("level", "rule"), [(1, Rule.EFFECT_MISSING), (3, Rule.EFFECT_TWICE)])
def test_levels_grow_by_what_was_bought(case: Case, level: int, rule: Rule) -> None:
    case.image.players[SENDER] = replace(START[SENDER], levels=LEVELS | {"tap_level": level})
    assert case.found() == [rule]


@pytest.mark.parametrize("used", [2, 4])
def test_a_boost_that_nobody_was_told_of_is_found(case: Case, used: int) -> None:
    case.image.boosts_used[SENDER, "double"] = used
    assert case.found() == [Rule.EFFECT_TWICE]


def test_a_boost_that_is_not_counted_is_found(case: Case) -> None:
    case.image.boosts_used.clear()
    assert case.found() == [Rule.EFFECT_MISSING]


def test_boosts_are_counted_one_by_one_and_anew_each_day(case: Case) -> None:
    case.image.cursors[SENDER, LINEAGE] = 6
    case.act(5, "boost.use", {"kind": "double", "left_today": 1, "state": {}})
    case.act(6, "boost.use", {"kind": "double", "left_today": 2, "state": {}})  # the next day
    assert case.found() == []


def test_a_step_left_out_in_a_days_boosts_is_found(case: Case) -> None:
    case.image.cursors[SENDER, LINEAGE] = 5
    case.act(5, "boost.use", {"kind": "double", "left_today": 0, "state": {}})
    assert case.found() == [Rule.EFFECT_TWICE]
