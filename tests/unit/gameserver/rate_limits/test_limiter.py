"""All limits of one operation together: who is refused, for how long, and what that takes."""

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gameserver.clock import ManualClock
from gameserver.errors import RateLimited
from gameserver.metrics import Metrics
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.refusal_log import RefusalLog
from gameserver.rate_limits.table import TABLE, Limit, LimitClass, Scope
from gameserver.settings import RateLimitMode, Settings, load_settings
from tests.fakes.memory_refusals import MemoryRefusals, rate_limits

ADA, EVE = UUID(int=1), UUID(int=2)
HOME, AWAY = "192.0.2.7", "192.0.2.8"
HARD = (
    Limit(Scope.SESSION, LimitClass.HARD, 2, 10, ""),
    Limit(Scope.PLAYER, LimitClass.HARD, 3, 20, ""),
    Limit(Scope.ADDRESS, LimitClass.HARD, 4, 40, ""),
)


def wait_ms(limits: RateLimits, limit_class: LimitClass, *whom: object) -> int:
    """Of one operation of `caller(*whom)`; 0 = it went through."""
    error = limits.refusal(limit_class, limits.caller(*whom))  # type: ignore[arg-type]  # as the test has them
    return 0 if error is None else error.retry_after_ms


def test_each_scope_counts_for_itself() -> None:
    limits = rate_limits(ManualClock(), table=HARD)
    first, second = (limits.caller(HOME, ADA, is_session=True) for _ in range(2))
    others = limits.caller(HOME, EVE, is_session=True)
    sent = [first, first, first, second, second, others, others]
    answers = [limits.refusal(LimitClass.HARD, caller) for caller in sent]
    said = ["" if answer is None else answer.message.rpartition(" for ")[2] for answer in answers]
    assert said == ["", "", "one socket", "", "one player", "", "one address"]
    assert limits.refusal(LimitClass.HARD, limits.caller(AWAY, EVE, is_session=True)) is None, "somebody from elsewhere"


def test_what_one_limit_refuses_takes_nothing_from_the_others() -> None:
    clock = ManualClock()
    limits = rate_limits(clock, table=HARD)
    first = limits.caller(HOME, ADA, is_session=True)
    assert [limits.refusal(LimitClass.HARD, first) is None for _ in range(50)] == [True] * 2 + [False] * 48
    assert wait_ms(limits, LimitClass.HARD, HOME, ADA) == 0
    assert wait_ms(limits, LimitClass.HARD, HOME, EVE) == 0
    assert wait_ms(limits, LimitClass.HARD, HOME, EVE) > 0


def test_who_is_refused_by_several_is_told_the_longest_wait() -> None:
    limits = rate_limits(
        ManualClock(),
        table=(Limit(Scope.PLAYER, LimitClass.READ, 1, 100, ""), Limit(Scope.ADDRESS, LimitClass.READ, 1, 10, "")),
    )
    assert wait_ms(limits, LimitClass.READ, HOME, ADA) == 0
    assert 0 < wait_ms(limits, LimitClass.READ, HOME, EVE) <= 10_000
    assert 10_000 < wait_ms(limits, LimitClass.READ, HOME, ADA) <= 100_000


def test_a_look_takes_nothing() -> None:
    limits = rate_limits(ManualClock(), table=HARD)
    caller = limits.caller(HOME, ADA, is_session=True)
    for _ in range(10):
        limits.demand(LimitClass.HARD, caller, take=False)
    limits.demand(LimitClass.HARD, caller)
    limits.demand(LimitClass.HARD, caller)
    with pytest.raises(RateLimited):
        limits.demand(LimitClass.HARD, caller, take=False)


def test_what_is_not_known_is_not_counted() -> None:
    limits = rate_limits(ManualClock(), table=HARD)
    for _ in range(10):
        assert wait_ms(limits, LimitClass.HARD, "", None) == 0


@pytest.mark.parametrize(
    ("per_address", "exempt_loopback", "address", "counts"),
    [
        (True, True, HOME, True),
        (True, True, "127.0.0.1", False),
        (True, True, "::1", False),
        (True, False, "127.0.0.1", True),
        (False, False, HOME, False),
    ],
)
def test_addresses_that_are_not_counted(per_address: bool, exempt_loopback: bool, address: str, counts: bool) -> None:
    limits = rate_limits(ManualClock(), table=HARD, per_address=per_address, exempt_loopback=exempt_loopback)
    answers = [wait_ms(limits, LimitClass.HARD, address, UUID(int=number)) for number in range(3, 8)]
    assert (answers[-1] > 0) == counts


def test_the_customers_of_one_network_share_its_limit() -> None:
    limits = rate_limits(ManualClock(), table=HARD)
    answers = [wait_ms(limits, LimitClass.HARD, f"2001:db8::{number:x}") for number in range(5)]
    assert [answer > 0 for answer in answers] == [False] * 4 + [True]


def test_what_was_not_asked_for_is_counted_as_far_as_there_is_room() -> None:
    clock = ManualClock()
    limits = rate_limits(clock, table=(Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 3, 600, ""),))
    guesser, other = limits.caller(HOME, ADA), limits.caller(AWAY, ADA)
    for _ in range(10):
        limits.count(LimitClass.CREDENTIAL, guesser)
    refused = limits.refusal(LimitClass.CREDENTIAL, guesser, take=False)
    assert refused is not None
    assert limits.refusal(LimitClass.CREDENTIAL, other, take=False) is None
    assert counted(limits)["address", "credential"] == (3, 1, 0)
    clock.advance(refused.retry_after_ms)
    assert limits.refusal(LimitClass.CREDENTIAL, guesser, take=False) is None


def test_in_a_dry_run_nobody_is_refused_and_all_is_counted_and_noted() -> None:
    clock, store = ManualClock(), MemoryRefusals()
    log = RefusalLog(store, clock)
    limits = rate_limits(clock, table=HARD, mode=RateLimitMode.DRY_RUN, refusals=log)
    assert [wait_ms(limits, LimitClass.HARD, HOME, ADA) for _ in range(5)] == [0] * 5
    assert counted(limits)["player", "hard"] == (3, 0, 2)
    assert counted(limits)["address", "hard"] == (3, 0, 0)
    assert log.statistics().rows == 1


def test_off_nothing_is_counted() -> None:
    limits = rate_limits(ManualClock(), table=HARD, mode=RateLimitMode.OFF)
    limits.count(LimitClass.HARD, limits.caller(HOME, ADA))
    assert [wait_ms(limits, LimitClass.HARD, HOME, ADA) for _ in range(5)] == [0] * 5
    assert set(counted(limits).values()) == {(0, 0, 0)}


def counted(limits: RateLimits) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(allowed, refused, would be refused) of each limit, as Prometheus reads it."""
    metrics = Metrics()
    limits.expose(metrics)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    assert {"game_rate_limits_windows", "game_rate_limits_forgotten", "game_refusal_log_rows"} <= set(families)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for sample in families["game_rate_limit"].samples:
        row = found.setdefault((sample.labels["scope"], sample.labels["class"]), {})
        row[sample.labels["outcome"]] = sample.value
    return {name: (row["allowed"], row["refused"], row["would_refuse"]) for name, row in found.items()}


def test_metrics_tell_what_each_limit_said() -> None:
    limits = rate_limits(ManualClock(), table=HARD)
    caller = limits.caller(HOME, ADA, is_session=True)
    for _ in range(5):
        limits.refusal(LimitClass.HARD, caller)
    assert counted(limits) == {
        ("session", "hard"): (2, 3, 0),
        ("player", "hard"): (2, 0, 0),
        ("address", "hard"): (2, 0, 0),
    }


def test_the_settings_say_whether_and_for_whom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GAME_{name.upper()}", raising=False)
    clock = ManualClock()

    def of(**changes: object) -> RateLimits:
        settings = load_settings().model_copy(update=changes)
        return RateLimits.of(settings, clock, RefusalLog(MemoryRefusals(), clock))

    limit = next(one for one in TABLE if (one.scope, one.limit_class) == (Scope.ADDRESS, LimitClass.HELLO))

    def refused(limits: RateLimits, address: str) -> bool:
        return any(wait_ms(limits, LimitClass.HELLO, address) for _ in range(limit.count + 1))

    assert refused(of(), HOME)
    assert not refused(of(), "127.0.0.1")
    assert not refused(of(max_sockets_per_address=0), HOME)
    assert not refused(of(rate_limits=RateLimitMode.DRY_RUN), HOME)
    assert not refused(of(rate_limits=RateLimitMode.OFF), HOME)
    assert refused(of(env="production"), "127.0.0.1")


COUNTS, SECONDS = st.integers(1, 5), st.integers(1, 30)
CALLERS = st.tuples(st.sampled_from([HOME, AWAY, ""]), st.sampled_from([ADA, EVE, None]), st.integers(0, 1))


@given(
    shape=st.tuples(*[st.tuples(COUNTS, SECONDS)] * 3),
    moves=st.lists(st.tuples(CALLERS, st.integers(0, 9_000)), max_size=60),
)
def test_a_wait_is_exact_and_never_longer_than_the_window(
    shape: tuple[tuple[int, int], ...], moves: list[tuple[tuple[str, UUID | None, int], int]]
) -> None:
    table = [Limit(scope, LimitClass.HARD, *row, "") for scope, row in zip(Scope, shape, strict=True)]
    clock = ManualClock()
    admitted: list[tuple[int, tuple[str, UUID | None, int]]] = []

    def world(at: ManualClock) -> tuple[RateLimits, dict[object, object]]:
        return rate_limits(at, table=table), {}

    def ask(limits: RateLimits, callers: dict[object, object], who: tuple[str, UUID | None, int]) -> int:
        caller = callers.setdefault(who, limits.caller(who[0], who[1], is_session=True))
        error = limits.refusal(LimitClass.HARD, caller)  # type: ignore[arg-type]  # one of ours
        return 0 if error is None else error.retry_after_ms

    def replayed(who: tuple[str, UUID | None, int], after_ms: int) -> int:
        """The answer to `who` after so long, where nobody did anything since."""
        again = ManualClock()
        limits, callers = world(again)
        for at_ms, other in admitted:
            again.advance(at_ms - again.uptime_ms())
            assert ask(limits, callers, other) == 0
        again.advance(clock.uptime_ms() + after_ms - again.uptime_ms())
        return ask(limits, callers, who)

    limits, callers = world(clock)
    for who, delta_ms in moves:
        clock.advance(delta_ms)
        told_ms = ask(limits, callers, who)
        assert 0 <= told_ms <= 1_000 * max(limit.window_s for limit in table)
        if told_ms:
            assert replayed(who, told_ms - 1) == 1
            assert replayed(who, told_ms) == 0
        else:
            admitted.append((clock.uptime_ms(), who))
