"""The checker on histories and databases made by hand: a right one passes, and each kind of wrong one is found."""

from dataclasses import asdict, replace

import pytest

from tests.fault.checker import THEFTS_PER_S, check, check_fights, level_of
from tests.fault.database_image import DatabaseImage, GrantImage, LedgerImage, PlayerImage, Sums
from tests.fault.history import (
    LOOK_S,
    TAP,
    History,
    LineageHistory,
    LossWindow,
    Operation,
    Refused,
    Resulted,
    SentAgain,
    Tapped,
    ToldDurable,
    Welcomed,
    loss_windows,
)
from tests.fault.violations import Rule

PLAYER, LINEAGE = "player-1", b"l" * 16
LEVELS = {"tap_level": 1, "energy_cap_level": 1, "energy_regen_level": 1, "offline_level": 0}
BEFORE = PlayerImage(1, PLAYER, taps=10, xp=90, balance_mpt=0, unposted_mpt=0, levels=LEVELS)
AFTER = replace(BEFORE, taps=15, xp=95, balance_mpt=7_000, unposted_mpt=2_000, ledger_mpt=5_000)


class Case:
    """A client that tapped 2 and 3 times, and the database that has both; tests spoil one or the other."""

    def __init__(self) -> None:
        self.history = History()
        self.lineage = self.history.new_lineage("c1", PLAYER, LINEAGE)
        self.image = DatabaseImage(
            players={PLAYER: AFTER},
            cursors={(PLAYER, LINEAGE): 2},
            sums=Sums(minted_mpt=7_000, balances_mpt=7_000),
        )
        self.hear(Welcomed(0.0, 0, 0, 90))
        for seq, count, xp in ((1, 2, 92), (2, 3, 95)):
            self.send(seq, TAP, count=count)
            self.hear(Tapped(float(seq), seq, count, xp, seq - 1))
        self.hear(ToldDurable(3.0, 2))

    def send(self, seq: int, name: str, *, count: int = 0, sent_s: float = 1.0) -> Operation:
        operation = self.lineage.operations[seq] = Operation(seq, name, {}, count, sent_s, 1)
        return operation

    def hear(self, event: Welcomed | Tapped | Resulted | Refused | ToldDurable | SentAgain) -> None:
        self.lineage.events.append(event)

    def commit(self, seq: int) -> None:
        self.image.cursors[PLAYER, LINEAGE] = seq

    def player(self, **columns: int) -> None:
        self.image.players[PLAYER] = PlayerImage(**asdict(self.image.players[PLAYER]) | columns)

    def found(self) -> list[Rule]:
        return [violation.rule for violation in check(self.history, {PLAYER: BEFORE}, self.image)]


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_right_history_passes(case: Case) -> None:
    assert case.found() == []


def test_what_was_told_durable_must_be_committed(case: Case) -> None:
    case.commit(1)
    case.player(taps=12, xp=92)
    assert case.found() == [Rule.DURABLE_LOST, Rule.LIVING_LOST]


def test_a_dead_clients_operations_may_be_lost_where_they_were_not_durable(case: Case) -> None:
    case.send(3, TAP, count=1)
    case.hear(Tapped(3.5, 3, 1, 96, 2))
    case.lineage.died_s = 4.0
    assert case.found() == []
    case.commit(3)
    case.player(taps=16, xp=96)
    assert case.found() == []


def test_a_dead_clients_durable_operations_may_not(case: Case) -> None:
    case.lineage.died_s = 4.0
    case.commit(1)
    case.player(taps=12, xp=92)
    assert case.found() == [Rule.DURABLE_LOST]


def test_what_a_living_client_sent_must_be_applied(case: Case) -> None:
    case.send(3, TAP, count=1)
    assert case.found() == [Rule.LIVING_LOST]


def test_what_a_living_client_sent_must_be_answered(case: Case) -> None:
    case.send(3, "noop")
    case.commit(3)
    assert case.found() == [Rule.UNANSWERED]
    case.hear(Resulted(4.0, 3, {}, 3))
    assert case.found() == []


def test_a_tap_needs_no_answer_where_a_welcome_covered_it(case: Case) -> None:
    case.send(3, TAP, count=1)
    case.hear(Welcomed(4.0, 3, 3, 96))
    case.commit(3)
    case.player(taps=16, xp=96)
    assert case.found() == []


def test_nothing_is_committed_that_was_not_sent(case: Case) -> None:
    case.commit(9)
    assert case.found() == [Rule.FROM_NOWHERE]


@pytest.mark.parametrize(("grown", "rule"), [(4, Rule.TAPS_LOST), (6, Rule.TAPS_TWICE)])
def test_taps_count_exactly_once(case: Case, grown: int, rule: Rule) -> None:
    case.player(taps=10 + grown)
    assert case.found() == [rule]
    case.player(xp=90 + grown)
    assert case.found() == [rule, rule]


def test_taps_refused_for_good_do_not_count(case: Case) -> None:
    case.send(3, TAP, count=7)
    case.hear(Refused(4.0, 3, 13, "internal", "the server failed", 0))
    case.commit(3)
    assert case.found() == []


def test_a_player_must_be_there(case: Case) -> None:
    case.image.players.clear()
    assert case.found() == [Rule.TAPS_LOST]


def test_a_repeat_is_answered_with_nothing_accepted_and_a_part_is_wrong(case: Case) -> None:
    case.hear(SentAgain(3.9, 2))
    case.hear(Tapped(4.0, 2, 0, 95, 2))
    assert case.found() == []
    case.hear(Tapped(4.0, 2, 1, 95, 2))
    assert case.found() == [Rule.TAP_SHORT]


def test_what_was_sent_once_counts(case: Case) -> None:
    case.send(3, TAP, count=2)
    case.hear(Tapped(4.0, 3, 0, 95, 3))
    case.commit(3)
    case.player(taps=17, xp=97, balance_mpt=9_000, unposted_mpt=4_000)
    case.image.sums = Sums(minted_mpt=9_000, balances_mpt=9_000)
    assert case.found() == [Rule.TAP_SHORT]


@pytest.mark.parametrize(("applied_seq", "durable_seq"), [(1, 1), (2, 1), (0, 0)])
def test_a_welcome_does_not_fall_behind_what_was_durable(case: Case, applied_seq: int, durable_seq: int) -> None:
    case.hear(Welcomed(4.0, applied_seq, durable_seq, 95))
    assert case.found() == [Rule.CURSOR_BACK]


def test_numbers_do_not_go_back_within_what_was_durable(case: Case) -> None:
    case.hear(Welcomed(4.0, 2, 2, 94))
    assert case.found() == [Rule.NUMBERS_BACK]


@pytest.mark.parametrize(("to_s", "findings"), [(3.9, 0), (4.0 - LOOK_S - 0.1, 2)])
def test_what_a_server_tells_in_a_fight_may_be_old(case: Case, to_s: float, findings: int) -> None:
    case.history.fights_s.append((0.0, to_s))
    case.hear(Welcomed(4.0, 1, 1, 94))
    assert len(case.found()) == findings


def test_servers_that_should_fight_take_players_from_each_other() -> None:
    history = History(fights_s=[(1.0, 5.0), (6.0, 12.0)])
    least = int(10 * THEFTS_PER_S)
    assert check_fights(history, least) == []
    [violation] = check_fights(history, least - 1)
    assert violation.rule is Rule.NO_FIGHT
    assert check_fights(History(), 0) == []


def test_numbers_may_go_back_where_nothing_was_durable(case: Case) -> None:
    case.send(3, TAP, count=5)
    case.hear(Tapped(4.0, 3, 5, 100, 2))
    case.hear(Welcomed(5.0, 2, 2, 95))
    case.hear(SentAgain(5.1, 3))
    case.hear(Tapped(5.2, 3, 5, 100, 3))
    case.commit(3)
    case.player(taps=20, xp=100)
    case.image.ledger["level:1:2"] = LedgerImage(PLAYER, "level_reward", 200_000)
    assert case.found() == []


def test_a_repeats_numbers_are_not_those_of_its_seq(case: Case) -> None:
    case.send(3, TAP, count=5)
    case.hear(Tapped(4.0, 3, 5, 100, 2))
    case.hear(SentAgain(4.05, 2))
    case.hear(Tapped(4.1, 2, 0, 100, 2))
    case.hear(Welcomed(5.0, 2, 2, 95))
    case.lineage.died_s = 5.1
    assert case.found() == []


def test_nothing_overtakes_what_is_to_be_sent_again(case: Case) -> None:
    for seq in (3, 4):
        case.send(seq, "noop")
    case.commit(4)
    refusal = Refused(4.0, 3, 9, "busy", "later", 50)
    again, first, second = SentAgain(4.2, 3), Resulted(4.3, 3, {}, 2), Resulted(4.3, 4, {}, 2)
    case.lineage.events += [refusal, second, again, first]
    assert case.found() == [Rule.OVERTAKEN]
    case.lineage.events[-3:] = [again, second, first]  # a hard one may be answered later than the next
    assert case.found() == []
    case.lineage.events[-3:] = [Welcomed(4.05, 2, 2, 95), second, first]  # a new HELLO ends the block
    assert case.found() == []


def test_of_two_copies_under_way_the_second_may_run_after_the_first_was_refused(case: Case) -> None:
    for seq in (3, 4):
        case.send(seq, "noop")
    case.commit(4)
    refusals = [Refused(4.0 + seq / 100, seq, 10, "unavailable", "the database is away", 50) for seq in (3, 4)]
    case.lineage.events += [SentAgain(3.9, 3), SentAgain(3.9, 4), *refusals]
    case.lineage.events += [Resulted(4.1, 3, {}, 2), Resulted(4.1, 4, {}, 2)]
    assert case.found() == []
    del case.lineage.events[-2]
    assert Rule.OVERTAKEN in case.found()


@pytest.mark.parametrize(("xp", "level"), [(0, 1), (99, 1), (100, 2), (399, 2), (400, 3), (8_100, 10), (980_100, 100)])
def test_levels(xp: int, level: int) -> None:
    assert level_of(xp) == level


def test_a_level_is_paid_once(case: Case) -> None:
    case.send(3, TAP, count=5)
    case.hear(Tapped(4.0, 3, 5, 100, 3))
    case.commit(3)
    case.player(taps=20, xp=100)
    assert case.found() == [Rule.EFFECT_MISSING]
    case.image.ledger["level:1:2"] = LedgerImage(PLAYER, "level_reward", 200_000)
    assert case.found() == []
    case.image.ledger["level:1:3"] = LedgerImage(PLAYER, "level_reward", 300_000)
    assert case.found() == [Rule.EFFECT_TWICE]


def test_balances_agree_with_the_ledger(case: Case) -> None:
    case.player(ledger_mpt=4_999)
    assert case.found() == [Rule.LEDGER]


@pytest.mark.parametrize("columns", [{"balance_mpt": -1, "unposted_mpt": -5_001}, {"unposted_mpt": 8_000}])
def test_no_negative_balance(case: Case, columns: dict[str, int]) -> None:
    case.player(**columns)
    assert Rule.NEGATIVE in case.found()


def test_all_there_is_was_minted(case: Case) -> None:
    case.image.sums = Sums(minted_mpt=8_000, burned_mpt=500, balances_mpt=7_000, escrow_mpt=500)
    assert case.found() == []
    case.image.sums = Sums(minted_mpt=8_000, burned_mpt=500, balances_mpt=7_000, escrow_mpt=499)
    assert case.found() == [Rule.LEDGER]


def test_the_databases_own_findings_are_reported(case: Case) -> None:
    case.image.unreconciled.append("player 1: expected 1, found 2")
    case.image.dead_letters.append("players {1}: refused")
    assert case.found() == [Rule.LEDGER, Rule.DEAD_LETTER]


def test_grants_are_applied_once_and_to_whoever_is_online(case: Case) -> None:
    case.image.grants["gift:1"] = GrantImage(PLAYER, "compensation", 5_000, applied=True)
    assert case.found() == [Rule.EFFECT_MISSING]
    case.image.ledger["gift:1"] = LedgerImage(PLAYER, "compensation", 5_000)
    assert case.found() == []
    case.image.grants["gift:1"] = GrantImage(PLAYER, "compensation", 5_000, applied=False)
    assert case.found() == [Rule.EFFECT_TWICE, Rule.GRANT_OPEN]
    case.image.ledger.clear()
    case.lineage.died_s = 9.0
    assert case.found() == []


def test_violations_are_sentences(case: Case) -> None:
    case.send(3, TAP, count=1)
    [violation] = check(case.history, {PLAYER: BEFORE}, case.image)
    assert str(violation) == (
        f"lost: client c1, player {PLAYER}, lineage {LINEAGE.hex()}, seq 3: "
        "tap: the client lives on and sent it 1 times, but the committed cursor is 2"
    )


def test_the_loss_window_reaches_from_the_oldest_lost_sending_to_the_deaths(case: Case) -> None:
    for seq, sent_s in ((3, 5.0), (4, 5.4)):
        case.send(seq, TAP, count=1, sent_s=sent_s)
        case.hear(Tapped(sent_s + 0.1, seq, 1, 96, 2))
    case.send(5, TAP, count=1, sent_s=5.5)  # no answer: nothing was promised
    case.lineage.died_s = 5.75
    assert loss_windows(case.history, case.image.cursors) == []
    case.lineage.died_with_server = True
    assert loss_windows(case.history, case.image.cursors) == [LossWindow(2, 0.75)]
    assert loss_windows(case.history, {(PLAYER, LINEAGE): 4}) == [LossWindow(0, 0.0)]


def test_a_new_lineage_has_nothing_durable() -> None:
    assert LineageHistory("c1", PLAYER, LINEAGE).durable_seq == 0
