"""What sending tokens costs."""

import pytest

from gameserver.game.transfers import fee_mpt


@pytest.mark.parametrize(
    ("amount_mpt", "fee"), [(1, 1), (20, 1), (21, 2), (12_345, 618), (1_000, 50), (10**10, 5 * 10**8)]
)
def test_the_fee_is_five_per_cent_rounded_up(amount_mpt: int, fee: int) -> None:
    assert fee_mpt(amount_mpt) == fee
