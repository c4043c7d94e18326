"""Who may connect: each limit alone, what an address is, and that every count goes back to where it was."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameserver.edge.admission import Admission
from gameserver.edge.handshake import refusal_response
from gameserver.edge.upgrade import Refusal

HOME = "192.0.2.7"


class Seconds:
    """A monotonic clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def admission(
    *,
    sockets: int = 100,
    per_address: int = 0,
    per_s: int = 0,
    handshakes: int = 100,
    exempt: bool = False,
    clock: Seconds | None = None,
) -> Admission:
    return Admission(
        sockets,
        per_address,
        per_s,
        exempt_loopback=exempt,
        now_s=clock or Seconds(),
        max_handshakes=handshakes,
    )


def refused(door: Admission, address: str = HOME) -> Refusal:
    found = door.admit(address)
    assert found is not None
    return found


def test_no_more_sockets_than_there_may_be() -> None:
    door = admission(sockets=2)
    assert door.admit("192.0.2.1") is None
    assert door.admit("192.0.2.2") is None
    assert refused(door).retry_after_s == 5
    door.release("192.0.2.1", opened=False)
    assert door.admit(HOME) is None
    counts = door.statistics()
    assert (counts.sockets, counts.max_sockets, counts.admitted_total) == (2, 2, 3)
    assert counts.refused_full_total == 1


def test_no_more_sockets_of_one_address_than_its_share() -> None:
    door = admission(per_address=2)
    assert door.admit(HOME) is door.admit(HOME) is None
    assert "2 sockets" in refused(door).body
    assert door.admit("192.0.2.8") is None
    door.release(HOME, opened=False)
    assert door.admit(HOME) is None
    assert door.statistics().refused_address_total == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", HOME, True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.8", HOME, False),
        ("127.0.0.1", "::1", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    door = admission(per_address=1)
    assert door.admit(one) is None
    assert (door.admit(other) is not None) is same


def test_a_second_holds_so_many_handshakes_and_the_refused_ones_use_up_none() -> None:
    clock = Seconds()
    door = admission(per_s=4, clock=clock)
    assert [door.admit(HOME) for _ in range(4)] == [None] * 4
    assert [refused(door).retry_after_s for _ in range(9)] == [1] * 9
    clock.now_s += 0.5
    assert [door.admit(HOME) is None for _ in range(3)] == [True, True, False]
    clock.now_s += 3_600
    assert [door.admit(HOME) is None for _ in range(5)] == [True] * 4 + [False]
    counts = door.statistics()
    assert (counts.admitted_total, counts.refused_rate_total) == (10, 11)


def test_one_handshake_a_second_is_possible() -> None:
    clock = Seconds()
    door = admission(per_s=1, clock=clock)
    assert door.admit(HOME) is None
    clock.now_s += 0.5
    assert refused(door).retry_after_s == 1
    clock.now_s += 0.5
    assert door.admit(HOME) is None


def test_an_address_over_its_share_takes_no_handshake_from_the_others() -> None:
    door = admission(per_address=1, per_s=2)
    assert door.admit(HOME) is None
    for _ in range(9):
        refused(door)
    assert door.admit("192.0.2.8") is None


def test_handshakes_in_progress_are_bounded() -> None:
    door = admission(handshakes=2)
    assert door.admit(HOME) is door.admit(HOME) is None
    assert refused(door).retry_after_s == 1
    door.opened()
    assert door.admit(HOME) is None
    refused(door)
    door.release(HOME, opened=False)
    assert door.admit(HOME) is None
    counts = door.statistics()
    assert (counts.handshakes, counts.sockets, counts.refused_busy_total) == (2, 3, 2)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_exempt_only_where_it_is_meant_to_be(address: str) -> None:
    exempt = admission(sockets=3, per_address=1, per_s=1, exempt=True)
    assert [exempt.admit(address) for _ in range(3)] == [None] * 3
    assert exempt.admit(address) is not None  # the machine's own limit holds for everybody
    assert exempt.statistics().refused_full_total == 1
    strict = admission(per_address=1, exempt=False)
    assert strict.admit(address) is None
    assert strict.admit(address) is not None


def test_an_address_that_is_not_loopback_is_not_exempt() -> None:
    door = admission(per_address=1, exempt=True)
    assert door.admit(HOME) is None
    refused(door)


def test_what_is_refused_is_a_response_that_any_http_client_reads() -> None:
    data = refusal_response(Refusal(503, "Not now – try again.", 7))
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/ws", headers=[("host", "game.example")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    response, body, end = client.next_event(), client.next_event(), client.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == 503
    headers = dict(response.headers)
    assert headers[b"retry-after"] == b"7"
    assert isinstance(body, h11.Data)
    assert bytes(body.data).decode() == "Not now – try again."
    assert isinstance(end, h11.EndOfMessage)
    assert client.their_state is h11.MUST_CLOSE


ADDRESSES = ("192.0.2.1", "192.0.2.2", "127.0.0.1", "2001:db8::1", "2001:db8::2")
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.sampled_from(ADDRESSES)),
        st.tuples(st.just("opened"), st.integers(0, 99)),
        st.tuples(st.just("release"), st.integers(0, 99)),
        st.tuples(st.just("wait"), st.integers(0, 3_000)),
    ),
    max_size=120,
)


@given(
    sockets=st.integers(1, 8),
    per_address=st.integers(0, 4),
    per_s=st.integers(0, 6),
    handshakes=st.integers(1, 6),
    exempt=st.booleans(),
    moves=MOVES,
)
def test_no_order_of_events_breaks_a_limit_or_leaves_anything_behind(
    sockets: int, per_address: int, per_s: int, handshakes: int, exempt: bool, moves: list[tuple[str, object]]
) -> None:
    clock = Seconds()
    door = admission(
        sockets=sockets, per_address=per_address, per_s=per_s, handshakes=handshakes, exempt=exempt, clock=clock
    )
    opening: list[str] = []
    open_: list[str] = []
    limited_at_s: list[float] = []  # when one that the limits hold for came in
    tried = 0
    for move, value in moves:
        if move == "wait":
            clock.now_s += int(str(value)) / 1_000
        elif move == "admit":
            address = str(value)
            tried += 1
            if (answer := door.admit(address)) is None:
                opening.append(address)
                if not (exempt and address.startswith("127.")):
                    limited_at_s.append(clock.now_s)
            else:
                assert answer.retry_after_s >= 1
        elif move == "opened" and opening:
            door.opened()
            open_.append(opening.pop(int(str(value)) % len(opening)))
        elif move == "release" and opening + open_:
            at = int(str(value)) % len(opening + open_)
            was_open = at >= len(opening)
            address = open_.pop(at - len(opening)) if was_open else opening.pop(at)
            door.release(address, opened=was_open)
        counts = door.statistics()
        assert counts.sockets == len(opening) + len(open_) <= sockets
        assert counts.handshakes == len(opening) <= handshakes
        customers = ["2001:db8::" if ":" in address else address for address in opening + open_]
        assert counts.addresses == len(set(customers))
        if per_address:
            shares = [customers.count(each) for each in set(customers) if not (exempt and each.startswith("127."))]
            assert max(shares, default=0) <= per_address
        if per_s:  # in any stretch of a second: the bucket's content and what flows in meanwhile
            assert sum(at_s > clock.now_s - 1 for at_s in limited_at_s) <= 2 * per_s
    counts = door.statistics()
    turned_away = (
        counts.refused_full_total + counts.refused_address_total + counts.refused_busy_total + counts.refused_rate_total
    )
    assert counts.admitted_total + turned_away == tried
    for address in opening:
        door.release(address, opened=False)
    for address in open_:
        door.release(address, opened=True)
    counts = door.statistics()
    assert (counts.sockets, counts.handshakes, counts.addresses) == (0, 0, 0)
