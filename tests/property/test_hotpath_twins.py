"""hotpath: the C twin equals the readable one over the whole domain, and the rules keep their promises."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotpath import (
    _player_state_py,
    _player_writes_py,
    _rate_limit_py,
    _rules_py,
    _tap_codec_py,
    _tap_signals_py,
    player_state,
    player_writes,
    rate_limit,
    rules,
    tap_codec,
    tap_signals,
)
from tests.fakes.other_side import pack

UINT64 = st.integers(0, 2**64 - 1)
XP = st.integers(0, rules.MAX_COUNT)
LEVEL = st.integers(1, 9_490_627)
MONEY_MPT = st.integers(0, rules.MAX_MONEY_MPT)
TIME_MS = st.integers(0, rules.MAX_TIME_MS)
UPGRADE = st.integers(1, rules.MAX_UPGRADE_LEVEL)
ENERGY_UE = st.integers(0, 10_500_000_000)
BUCKET_MT = st.integers(0, 900_000)
BP = st.integers(0, 30_000)

RULE_DOMAINS: dict[str, tuple[st.SearchStrategy[int], ...]] = {
    "level_of": (XP,),
    "level_start_xp": (LEVEL,),
    "rank_of": (LEVEL,),
    "energy_cap": (UPGRADE,),
    "energy_regen_mps": (UPGRADE,),
    "energy_ue_at": (ENERGY_UE, TIME_MS, TIME_MS, st.integers(1_000, 10_500), st.integers(1_000, 5_750)),
    "bucket_mt_at": (BUCKET_MT, TIME_MS, TIME_MS),
    "reconnect_bucket_mt": (BUCKET_MT, st.integers(0, rules.MAX_TIME_MS // 1_000)),
    "combo_prefix": (st.integers(0, 10**15),),
    "combo_weight": (st.integers(0, 10**15 - 900), st.integers(0, 900)),
    "generation_bonus_bp": (st.integers(1, 1_000),),
    "streak_bp": (st.integers(0, 1_000_000),),
    "boost_bp": (BP, BP, BP, BP),
    "emission_bp": (st.integers(0, 9 * 10**15), st.integers(1, 9 * 10**14)),
    "multiplier_bp": (st.integers(0, 5_000), st.integers(10_000, 30_000), st.integers(500, 10_000)),
    "income": (UPGRADE, st.integers(0, 900 * 15_000), st.integers(0, 45_000), st.integers(0, 10**8 - 1)),
    "soft_cap_mpt": (st.integers(0, 2 * rules.MAX_MONEY_MPT),),
    "soft_capped_mpt": (MONEY_MPT, MONEY_MPT),
}
ORDERED_LEVELS = st.tuples(LEVEL, LEVEL).map(sorted)


@pytest.mark.parametrize("name", RULE_DOMAINS)
@given(data=st.data())
def test_every_rule_is_the_same_in_both_twins(name: str, data: st.DataObject) -> None:
    arguments = data.draw(st.tuples(*RULE_DOMAINS[name]))
    assert getattr(rules, name)(*arguments) == getattr(_rules_py, name)(*arguments)


@given(levels=ORDERED_LEVELS)
def test_level_rewards_are_the_same_in_both_twins(levels: list[int]) -> None:
    assert rules.level_rewards_mpt(*levels) == _rules_py.level_rewards_mpt(*levels)


def test_no_rule_is_left_out() -> None:
    assert {*RULE_DOMAINS, "level_rewards_mpt"} == {name for name in rules.__all__ if name.islower()}


@given(xp=XP)
def test_a_level_holds_its_xp(xp: int) -> None:
    level = rules.level_of(xp)
    assert rules.level_start_xp(level) <= xp < rules.level_start_xp(level + 1)


@given(minted=st.lists(st.integers(0, 10**13), min_size=2).map(sorted), scale_pt=st.integers(1, 10**12))
def test_emission_only_falls(minted: list[int], scale_pt: int) -> None:
    emissions = [rules.emission_bp(pt, scale_pt) for pt in minted]
    assert emissions == sorted(emissions, reverse=True)
    assert all(500 <= em_bp <= 10_000 for em_bp in emissions)


@st.composite
def players(draw: st.DrawFn, /, now_ms: int, **fixed: int) -> dict[str, int]:
    """Any fields the constructor takes; times mostly lie near `now_ms`, where the rules do something."""
    fields = {}
    for name, (low, high) in player_state.FIELD_RANGES.items():
        anything = st.integers(low, high)
        if name.endswith("_ms"):
            near = st.integers(max(low, now_ms - 120_000), min(high, now_ms + 120_000))
            fields[name] = draw(st.one_of(near, near, st.just(0), anything))
        elif name == "raw_day":
            today = now_ms // rules.DAY_MS
            fields[name] = draw(st.one_of(st.just(today), st.just(max(0, today - 1)), anything))
        else:
            fields[name] = draw(st.one_of(anything, st.sampled_from((low, high))))
    fields |= fixed
    fields["unposted_mpt"] = min(fields["unposted_mpt"], fields["balance_mpt"])
    return fields


def look(player: Any, now_ms: int, world: Any) -> tuple[object, ...]:
    """Everything that can be read of a player."""
    return (
        player.columns(),
        (player.level, player.rank, player.revision, player.generation, player.community_bp),
        (player.energy_cap, player.energy_regen_mps, player.energy(now_ms), player.combo_at(now_ms)),
        player.multiplier_bp(now_ms, world),
    )


def outcome(method: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns, or with which words it refuses."""
    try:
        return method(*arguments)
    except ValueError as refused:
        return str(refused)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("apply_taps"), st.one_of(st.integers(0, 120), st.integers(0, 2**63 - 1))),
        st.tuples(st.sampled_from(("reopen_bucket", "fill_energy", "mark_seen")), st.just(0)),
        st.tuples(st.sampled_from(("take_unposted", "snapshot", "restore")), st.just(0)),
        st.tuples(st.sampled_from(("mint", "release")), st.one_of(st.integers(0, 10**9), st.just(rules.MAX_MONEY_MPT))),
        st.tuples(st.just("debit"), st.one_of(st.integers(-1, 10**9), st.integers(0, rules.MAX_MONEY_MPT))),
        st.tuples(st.just("upgrade"), st.integers(0, len(player_state.UPGRADE_COLUMNS) - 1)),
        st.tuples(st.just("double_for"), st.integers(0, rules.DAY_MS)),
        st.tuples(st.just("wait"), st.one_of(st.integers(-5_000, 10_000), st.integers(0, 200_000_000))),
    ),
    max_size=20,
)


@given(data=st.data(), now_ms=TIME_MS, emission_bp=st.integers(500, 10_000), event_bp=BP, steps=STEPS)
def test_a_player_fares_the_same_in_both_twins(
    data: st.DataObject, now_ms: int, emission_bp: int, event_bp: int, steps: list[tuple[str, int]]
) -> None:
    fields = data.draw(players(now_ms))
    twins = [
        (twin.PlayerState(**fields), twin.World(emission_bp, event_bp)) for twin in (player_state, _player_state_py)
    ]
    snapshots: list[Any] = [player.snapshot() for player, _ in twins]
    for step, amount in steps:
        if step == "wait":
            now_ms = min(max(now_ms + amount, 0), rules.MAX_TIME_MS)
        elif step == "snapshot":
            snapshots = [player.snapshot() for player, _ in twins]
        elif step == "restore":
            for (player, _), snapshot in zip(twins, snapshots, strict=True):
                player.restore(snapshot)
        else:
            arguments: Callable[[Any], tuple[Any, ...]] = {
                "apply_taps": lambda world: (amount, now_ms, world),  # noqa: B023 - called before the next step
                "take_unposted": lambda _: (),
                "mint": lambda _: (amount, True),  # noqa: B023 - called before the next step
                "release": lambda _: (amount, False),  # noqa: B023 - called before the next step
                "debit": lambda _: (amount,),  # noqa: B023 - called before the next step
                "upgrade": lambda _: (player_state.UPGRADE_COLUMNS[amount], now_ms),  # noqa: B023 - called before the next step
                "double_for": lambda _: (amount, now_ms),  # noqa: B023 - called before the next step
            }.get(step, lambda _: (now_ms,))  # noqa: B023 - called before the next step
            method = "credit" if step in ("mint", "release") else step
            compiled, readable = (outcome(getattr(player, method), *arguments(world)) for player, world in twins)
            assert compiled == readable
        compiled, readable = (look(player, now_ms, world) for player, world in twins)
        assert compiled == readable
    player, _ = twins[0]
    values = dict(zip(player_state.COLUMN_NAMES, player.columns(), strict=True))
    for name, value in values.items():
        low, high = player_state.FIELD_RANGES[name]
        assert low <= value <= high, name
    assert player.unposted_mpt <= player.balance_mpt
    # What can be saved can be loaded.
    player_state.PlayerState(**values, generation=player.generation)


@given(
    data=st.data(),
    now_ms=TIME_MS,
    emission_bp=st.integers(500, 10_000),
    event_bp=BP,
    parts=st.lists(st.integers(1, 300), min_size=1, max_size=30),
)
def test_any_split_of_accepted_taps_pays_the_same(
    data: st.DataObject, now_ms: int, emission_bp: int, event_bp: int, parts: list[int]
) -> None:
    total = min(sum(parts), 900)
    far_below_the_clamps = {"balance_mpt": 0, "lifetime_mpt": 0, "raw_today_mpt": data.draw(st.integers(0, 40_000_000))}
    room_for_all = {"bucket_mt": 900_000, "energy_ue": 10_500_000_000}
    fields = data.draw(players(now_ms, **far_below_the_clamps, **room_for_all))
    world = player_state.World(emission_bp, event_bp)
    at_once, split = player_state.PlayerState(**fields), player_state.PlayerState(**fields)
    # Both are in the same run: what is split is the batch, not the pause before it.
    assert at_once.apply_taps(total, now_ms, world) == total
    assert sum(split.apply_taps(part, now_ms, world) for part in parts) == total
    assert split.columns() == at_once.columns()
    assert split.level == at_once.level


@given(payload=st.binary(max_size=80))
@example(b"")
@example(b"\xdd")
@example(b"\x94\x02\xd3")
def test_any_bytes_are_judged_alike(payload: bytes) -> None:
    assert tap_codec.decode_tap(payload) == _tap_codec_py.decode_tap(payload)
    assert tap_codec.decode_tapped(payload) == _tap_codec_py.decode_tapped(payload)


def encodings(value: int) -> list[bytes]:
    """All MessagePack encodings of an integer, by its own definition and not by either twin's."""
    found = [pack(value)]
    for head, size, signed in zip(range(0xCC, 0xD4), (1, 2, 4, 8) * 2, [False] * 4 + [True] * 4, strict=True):
        try:
            found.append(bytes((head,)) + value.to_bytes(size, "big", signed=signed))
        except OverflowError:
            continue
    return found


WIRE_INT = st.one_of(st.integers(-1, 101), st.integers(599_999, 600_001), st.integers(-(2**63), 2**64 - 1))


@given(
    header=st.sampled_from((b"\x94", b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04", b"\x93", b"\xdc\x04\x04")),
    values=st.tuples(st.sampled_from((2, 2, 2, 3)), WIRE_INT, WIRE_INT, WIRE_INT),
    data=st.data(),
)
def test_a_tap_is_read_exactly_when_it_is_one(header: bytes, values: tuple[int, ...], data: st.DataObject) -> None:
    frame = header + b"".join(data.draw(st.sampled_from(encodings(value))) for value in values)
    op, seq, count, dt_ms = values
    good_header = header in {b"\x94", b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04"}
    good = good_header and op == 2 and 1 <= seq <= 2**32 - 2 and 1 <= count <= 100 and 0 <= dt_ms <= 600_000
    assert tap_codec.decode_tap(frame) == _tap_codec_py.decode_tap(frame) == ((seq, count, dt_ms) if good else None)


@given(frame=st.builds(tap_codec.encode_tapped, *[UINT64] * 8), at=st.integers(0, 80), flip=st.integers(1, 255))
def test_a_damaged_frame_is_judged_alike(frame: bytes, at: int, flip: int) -> None:
    damaged = bytearray(frame)
    damaged[at % len(frame)] ^= flip
    assert tap_codec.decode_tapped(bytes(damaged)) == _tap_codec_py.decode_tapped(bytes(damaged))


@given(fields=st.lists(UINT64, min_size=8, max_size=8))
def test_what_is_written_is_msgpack_and_reads_back(fields: list[int]) -> None:
    tapped = tap_codec.encode_tapped(*fields)
    assert tapped == _tap_codec_py.encode_tapped(*fields) == pack([65, *fields])
    assert tap_codec.decode_tapped(tapped) == (tuple(fields) if max(fields) < 2**53 else None)
    tap = tap_codec.encode_tap(*fields[:3])
    assert tap == _tap_codec_py.encode_tap(*fields[:3]) == pack([2, *fields[:3]])


LIMITS = st.one_of(st.integers(1, 12), st.integers(1, rate_limit.MAX_LIMIT))
WINDOWS_MS = st.one_of(st.integers(1, 50), st.integers(1, rate_limit.MAX_WINDOW_MS))
MOVES = st.lists(st.tuples(st.one_of(st.integers(0, 40), st.integers(-300, 300)), st.integers(1, 15)), max_size=40)


@given(limit=LIMITS, window_ms=WINDOWS_MS, start_ms=st.integers(10**5, 2**61), moves=MOVES)
def test_a_limiter_is_the_same_in_both_twins(
    limit: int, window_ms: int, start_ms: int, moves: list[tuple[int, int]]
) -> None:
    compiled = rate_limit.SlidingWindow(limit, window_ms)
    readable = _rate_limit_py.SlidingWindow(limit, window_ms)
    now_ms = start_ms
    for delta_ms, asked in moves:
        now_ms += delta_ms
        for _ in range(asked):
            assert compiled.wait_ms(now_ms) == readable.wait_ms(now_ms)
            assert compiled.acquire(now_ms) == readable.acquire(now_ms)
        assert compiled.idle(now_ms) == readable.idle(now_ms)


@given(limit=st.integers(1, 12), window_ms=st.integers(1, 200), moves=MOVES, later_ms=st.integers(0, 500))
def test_a_wait_is_exact_and_never_longer_than_a_window(
    limit: int, window_ms: int, moves: list[tuple[int, int]], later_ms: int
) -> None:
    admitted_at: list[int] = []  # clock readings at which an event was admitted, in order

    def replay() -> rate_limit.SlidingWindow:
        copy = rate_limit.SlidingWindow(limit, window_ms)
        assert all(copy.acquire(at_ms) == 0 for at_ms in admitted_at)
        return copy

    window, now_ms = rate_limit.SlidingWindow(limit, window_ms), 10_000
    for delta_ms, asked in moves:
        now_ms += max(0, delta_ms)
        for _ in range(asked):
            seen_ms, wait_ms = window.wait_ms(now_ms), window.acquire(now_ms)
            assert 0 <= wait_ms == seen_ms <= window_ms
            if wait_ms == 0:
                admitted_at.append(now_ms)
            else:
                assert replay().acquire(now_ms + wait_ms - 1) > 0
                assert replay().acquire(now_ms + wait_ms) == 0
                assert replay().acquire(now_ms + wait_ms + later_ms) == 0
    for at_ms in admitted_at:
        assert sum(at_ms <= other_ms < at_ms + window_ms for other_ms in admitted_at) <= 2 * limit
        own_window = at_ms // window_ms
        assert sum(other_ms // window_ms == own_window for other_ms in admitted_at) <= limit


@given(limit=st.integers(1, 12), window_ms=st.integers(1, 200), moves=MOVES)
def test_no_clock_locks_anyone_out(limit: int, window_ms: int, moves: list[tuple[int, int]]) -> None:
    window, now_ms = rate_limit.SlidingWindow(limit, window_ms), 100_000
    for delta_ms, asked in moves:
        now_ms += 10 * delta_ms
        waits_ms = [window.acquire(now_ms) for _ in range(asked)]
        assert all(0 <= wait_ms <= window_ms for wait_ms in waits_ms)
    assert window.idle(now_ms + 2 * window_ms)
    assert window.acquire(now_ms + window_ms) == 0


# ---- what goes to a flush

INT64 = st.integers(-(2**63), 2**63 - 1)
SEQ = st.integers(0, 2**32 - 1)
POSTINGS = st.lists(st.integers(-(2**60), 2**60).map(lambda mpt: SimpleNamespace(amount_mpt=mpt)), max_size=3)
WRITES = st.tuples(
    st.one_of(st.integers(1, 2**63 - 1), INT64),
    st.integers(0, 2**63 - 1),
    st.tuples(*[st.one_of(st.integers(-100, 100), INT64)] * len(player_state.COLUMN_NAMES)),
    MONEY_MPT,
    MONEY_MPT,
    st.dictionaries(st.one_of(st.binary(min_size=16, max_size=16), st.binary(max_size=3)), SEQ, max_size=3),
    POSTINGS.map(tuple),
    st.lists(INT64, max_size=2).map(tuple),
    st.booleans(),
)


@given(batch=st.lists(WRITES, max_size=8))
def test_a_batch_of_writes_becomes_the_same_texts_in_both_twins(batch: list[tuple[Any, ...]]) -> None:
    compiled, readable = (
        [twin.PlayerWrites(*fields) for fields in batch] for twin in (player_writes, _player_writes_py)
    )
    assert [repr(writes) for writes in compiled] == [repr(writes) for writes in readable]
    for function in ("cursor_texts", "totals_mpt", "any_postings", "any_beside_ledger"):
        assert getattr(player_writes, function)(compiled) == getattr(_player_writes_py, function)(readable)
    if batch:
        assert player_writes.row_texts(compiled) == _player_writes_py.row_texts(readable)


@example(numbers=[-(2**63), 2**63 - 1, 0, -1, 9, 10, 99, 100, 101, 999, 1_000])
@given(numbers=st.lists(INT64, min_size=1))
def test_integers_are_written_as_python_writes_them(numbers: list[int]) -> None:
    columns = (0,) * len(player_state.COLUMN_NAMES)
    [text, *_] = player_writes.row_texts([player_writes.PlayerWrites(n, 1, columns, 0, 0, {}) for n in numbers])
    assert text == f"{{{','.join(map(str, numbers))}}}"


class _Told:
    """A lineage of either twin, and what its socket was told."""

    def __init__(self, cursor: Any, told: list[int] | None) -> None:
        self.cursor = cursor
        self.origin = None if told is None else SimpleNamespace(durable=told.append)


STRETCH_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tap"), st.integers(1, 40)),
        st.tuples(st.just("advance"), st.integers(0, 3)),
        st.tuples(st.just("watch"), st.integers(0, 3)),
        st.tuples(st.sampled_from(("seen", "close", "close_if_changed", "confirm")), st.just(0)),
    ),
    max_size=30,
)


@given(data=st.data(), now_ms=st.integers(0, rules.MAX_TIME_MS - 10**6), steps=STRETCH_STEPS)
def test_a_stretch_is_closed_the_same_in_both_twins(
    data: st.DataObject, now_ms: int, steps: list[tuple[str, int]]
) -> None:
    fields = data.draw(players(now_ms))
    post_at_ms = now_ms + 10_000
    sides: list[tuple[Any, ...]] = []
    for state_twin, writes_twin in ((player_state, player_writes), (_player_state_py, _player_writes_py)):
        state = state_twin.PlayerState(**fields)
        told: list[int] = []
        lineages = [_Told(state_twin.Cursor(), None if number == 3 else told) for number in range(4)]
        stretch = writes_twin.Stretch(7, 2, state, post_at_ms)
        sides.append((state, state_twin.World(), told, lineages, stretch, []))
    for step, amount in steps:
        now_ms += 997
        looks = []
        for state, world, told, lineages, stretch, closed in sides:
            match step:
                case "tap":
                    state.apply_taps(amount, now_ms, world)
                case "advance":
                    cursor = lineages[amount].cursor
                    cursor.advance(cursor.applied_seq + 1)
                case "watch":
                    stretch.lineages[bytes([amount])] = lineages[amount]
                case "seen":
                    state.mark_seen(now_ms)
                case "close":
                    closed.append(stretch.close(state, (), (amount,), True))
                case "close_if_changed":
                    if (writes := stretch.close_if_changed(state)) is not None:
                        closed.append(writes)
                case "confirm":
                    if closed:
                        closed.pop(0).confirm()
            cursors = [lineage.cursor for lineage in lineages]
            seqs = [(cursor.applied_seq, cursor.taken_seq, cursor.durable_seq) for cursor in cursors]
            looks.append(
                (seqs, list(told), stretch.owes_ledger(state), stretch.level, [repr(writes) for writes in closed])
            )
        assert looks[0] == looks[1]


# ---- what batches tell of who taps

BATCHES = st.lists(
    st.tuples(
        st.one_of(
            st.integers(-2_000, 4_000),
            st.integers(990, 1_010),
            st.sampled_from((0, 49, 50, 3_000, 3_001, 60_000, 1_060_000, 14_400_000, 3_600_000, 200_000_000)),
            st.integers(0, 10**9),
        ),
        st.one_of(st.integers(1, 100), st.just(50)),
        st.integers(0, 100),
    ),
    max_size=40,
)


@st.composite
def counters(draw: st.DrawFn) -> dict[str, int]:
    """Any that the constructor takes, often about to be halved."""
    return {
        name: draw(st.one_of(st.just(low), st.just(high), st.integers(low, high)))
        for name, (low, high) in tap_signals.COUNTER_RANGES.items()
    }


@given(data=st.data(), now_ms=TIME_MS, batches=BATCHES)
def test_signals_are_counted_the_same_in_both_twins(
    data: st.DataObject, now_ms: int, batches: list[tuple[int, int, int]]
) -> None:
    fields, given_counters = data.draw(players(now_ms)), data.draw(st.one_of(st.just({}), counters()))
    twins = [
        (signals.TapSignals(**given_counters), states.PlayerState(**fields), states.World())
        for signals, states in ((tap_signals, player_state), (_tap_signals_py, _player_state_py))
    ]
    for passed_ms, claimed, refused in batches:
        now_ms = min(max(now_ms + passed_ms, 0), rules.MAX_TIME_MS)
        for signals, state, world in twins:
            signals.note(claimed, now_ms, state)
            state.apply_taps(claimed, now_ms, world)
            signals.refuse(min(refused, claimed))
        compiled, readable = (signals.counters() for signals, _, _ in twins)
        assert compiled == readable
    if not given_counters:  # what is kept can be loaded
        signals, _, _ = twins[0]
        values = dict(zip(tap_signals.COUNTER_NAMES, signals.counters(), strict=True))
        assert tap_signals.TapSignals(**values).counters() == signals.counters()
