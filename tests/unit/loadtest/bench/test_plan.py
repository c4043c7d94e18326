import pytest

from loadtest.bench.plan import FANOUT_RATE, QUICK_SOCKETS, SOCKETS, duration_s, plan_for
from loadtest.phases import parse_phase


def test_the_full_bench_is_the_one_of_the_targets() -> None:
    plan = plan_for(quick=False, file_limit=20_000)
    assert (plan.sockets, plan.repetitions) == (SOCKETS, 3)
    assert plan.growth == (1_000, 2_000, 5_000, 10_000, 18_000)
    assert plan.players == 18_000
    assert plan.start_players == 100_000


def test_the_quick_bench_is_one_short_run() -> None:
    plan = plan_for(quick=True, file_limit=20_000)
    assert (plan.sockets, plan.repetitions, plan.start_players) == (QUICK_SOCKETS, 1, 0)
    drained_s = 5.0  # allowed for each, and not taken by a server that answers
    phases = [*plan.floor_phases(), *plan.gateway_phases(), *plan.flush_phases(), *plan.portable_phases()]
    assert duration_s(phases) - drained_s * len(phases) < 40


def test_the_portable_transport_has_fewer_sockets_where_it_is_not_ours() -> None:
    assert plan_for(quick=True, file_limit=20_000).portable_sockets == 1_000
    assert plan_for(quick=True, file_limit=20_000, has_gateway=False).portable_sockets == QUICK_SOCKETS
    assert plan_for(quick=False, file_limit=20_000).portable_sockets == 1_000
    assert plan_for(quick=False, file_limit=20_000, has_gateway=False).portable_sockets == SOCKETS


def test_no_more_sockets_than_files() -> None:
    plan = plan_for(quick=False, file_limit=4_096)
    assert plan.sockets == plan.players == 3_596
    assert plan.growth == (1_000, 2_000, 3_596)


@pytest.mark.parametrize("quick", [True, False])
def test_every_phase_is_one_the_swarm_knows(quick: bool) -> None:
    plan = plan_for(quick=quick, file_limit=20_000)
    texts = [*plan.gateway_phases(), *plan.portable_phases(), *plan.flush_phases(), plan.pipelined()]
    phases = [parse_phase(text) for text in [*texts, plan.listen(), plan.listen_beside_slow()]]
    names = {phase.name for phase in phases}
    assert names >= {"idle", "saturation", "pipelined", "rate_10000", "rate_40000", "actions", "storm", "fan_out"}
    assert all(phase.s == plan.s for phase in phases if phase.kind in ("open", "closed"))


@pytest.mark.parametrize(("quick", "messages"), [(True, 8), (False, 25)])
def test_a_window_of_listening_is_whole_messages(quick: bool, messages: int) -> None:
    plan = plan_for(quick=quick, file_limit=20_000)
    for text in (plan.listen(), plan.listen_beside_slow()):
        assert parse_phase(text).s * FANOUT_RATE == pytest.approx(messages)


def test_fairness_is_looked_at_for_long_enough() -> None:
    assert [parse_phase(plan_for(quick=quick, file_limit=20_000).fair(1_000)).s for quick in (True, False)] == [3, 5]
