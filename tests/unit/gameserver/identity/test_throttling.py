import pytest

from gameserver.errors import RateLimited
from gameserver.identity.throttling import BY_TELEGRAM, FROM_ADDRESS, OF_ACCOUNT, Allowance, admit, network_of, subject
from persistence.throttle_store import ThrottleStore, WaitMs
from tests.fakes.away_database import AwayDatabase


def test_the_wait_doubles_up_to_a_bound_after_the_free_attempts() -> None:
    allowance = Allowance(free=3, first_wait_s=10, max_wait_s=60)
    assert [allowance.wait_ms(attempts) for attempts in range(1, 9)] == [0, 0, 10_000, 20_000, 40_000] + [60_000] * 3
    assert allowance.wait_ms(10_000) == 60_000, "and no number is too large to be computed"


def test_a_stranger_shuts_nobody_out_for_longer_than_an_hour_and_guesses_no_passphrase() -> None:
    waits_s = [OF_ACCOUNT.wait_ms(attempts) // 1_000 for attempts in range(1, 2_000)]
    assert max(waits_s) == 3_600
    year_s, guesses = 365 * 86_400, 0
    while year_s > 0:
        guesses += 1
        year_s -= OF_ACCOUNT.wait_ms(guesses) // 1_000
    assert guesses < 10_000
    assert FROM_ADDRESS.free > OF_ACCOUNT.free == BY_TELEGRAM.free


def test_subjects_name_nobody_and_are_told_apart() -> None:
    one = subject("recover account", "203.0.113.5")
    assert len(one) == 32
    assert b"203" not in one
    assert len({one, subject("recover from", "203.0.113.5"), subject("recover account", "203.0.113.6")}) == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("a name", "unknown"),
        ("", "unknown"),
    ],
)
def test_whom_an_address_stands_for(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_who_has_to_wait_is_told_how_long() -> None:
    class Store(ThrottleStore):
        async def attempt(self, rules: dict[bytes, WaitMs], now_ms: int) -> int:  # type: ignore[override]  # narrower
            assert (list(rules), now_ms) == ([b"x"], 5)
            return rules[b"x"](6)

    store = Store(AwayDatabase())
    await admit(store, {b"x": Allowance(7, 1, 1)}, 5)
    with pytest.raises(RateLimited) as caught:
        await admit(store, {b"x": Allowance(6, 3, 9)}, 5)
    assert caught.value.retry_after_ms == 3_000
