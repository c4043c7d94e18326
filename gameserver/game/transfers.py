"""Tokens from player to player (game rules, "Sinks")."""

from typing import Final

from hotpath.rules import BP, DAY_MS, MPT_PER_PT

FEE_BP: Final = 500  #: on top of the amount, burned
MIN_LEVEL: Final = 10
MIN_AGE_MS: Final = 7 * DAY_MS  #: of the sender's account
MAX_PER_DAY_MPT: Final = 10_000 * MPT_PER_PT  #: fees not counted


def fee_mpt(amount_mpt: int) -> int:
    """What sending `amount_mpt` costs on top: 5 %, rounded up."""
    return -(-amount_mpt * FEE_BP // BP)
