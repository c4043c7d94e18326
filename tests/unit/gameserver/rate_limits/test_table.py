"""The table of limits: complete, consistent, and as the documentation has it."""

from pathlib import Path

import pytest

from gameserver.rate_limits.table import TABLE, Limit, LimitClass, Scope
from gameserver.wire.catalogue import ACTIONS, ActionKind, Durability
from hotpath.rate_limit import MAX_LIMIT, MAX_WINDOW_MS

DOCUMENT = Path(__file__).parents[4] / "docs" / "security.md"
OVER_SOCKETS = {LimitClass.FRAME, LimitClass.PING, LimitClass.READ, LimitClass.WRITE, LimitClass.HARD}


def rows_of(limit_class: LimitClass) -> list[Limit]:
    return [limit for limit in TABLE if limit.limit_class is limit_class]


def test_nothing_is_limited_twice_and_every_class_is() -> None:
    assert len({limit.name for limit in TABLE}) == len(TABLE)
    assert {limit.limit_class for limit in TABLE} == set(LimitClass)
    assert all(1 <= limit.count <= MAX_LIMIT and 1_000 <= 1_000 * limit.window_s <= MAX_WINDOW_MS for limit in TABLE)
    assert all(len(limit.name) <= 64 and limit.why for limit in TABLE), "as the log takes it"


@pytest.mark.parametrize("limit_class", LimitClass)
def test_a_wider_scope_has_the_higher_limit(limit_class: LimitClass) -> None:
    order = list(Scope)
    rows = sorted(rows_of(limit_class), key=lambda limit: order.index(limit.scope))
    rates = [limit.count / limit.window_s for limit in rows]
    assert rates == sorted(rates)


def test_what_has_no_socket_is_not_counted_for_one() -> None:
    assert {limit.limit_class for limit in TABLE if limit.scope is Scope.SESSION} <= OVER_SOCKETS
    assert {limit.scope for limit in rows_of(LimitClass.CREDENTIAL)} == {Scope.ADDRESS}, "who shows it is not known"


@pytest.mark.parametrize("action", ACTIONS)
def test_the_class_of_an_action_is_what_it_costs(action: str) -> None:
    spec = ACTIONS[action]
    expected = {
        (ActionKind.READ, Durability.SOFT): LimitClass.READ,
        (ActionKind.WRITE, Durability.SOFT): LimitClass.WRITE,
        (ActionKind.WRITE, Durability.HARD): LimitClass.HARD,
    }[spec.kind, spec.durability]
    assert spec.limit_class is expected


def test_the_documentation_has_the_table() -> None:
    lines = [
        f"| {limit.scope} | `{limit.limit_class}` | {f'{limit.count:_}'.replace('_', ' ')} in {limit.window_s} s "
        f"| {limit.why} |"
        for limit in TABLE
    ]
    wanted = "\n".join(["| for each | class | at most | why so many |", "| --- | --- | --- | --- |", *lines])
    assert wanted in DOCUMENT.read_text(encoding="utf-8"), wanted
