"""What moved, double-entry and in the order of time, and what everybody has in consequence.

A player's whole history belongs to one batch: the database compares, at COMMIT, where a batch's entries end with the
balance that the player has. Many players make a batch, so that all of them are compared at once.
"""

from array import array
from random import Random
from typing import NamedTuple

from persistence.seed.players.calendar import Calendar
from persistence.seed.players.population import Population, uuid_text
from persistence.seed.players.sheets import NULL, Sheets

_PLAYERS_A_BATCH = 250_000


class Grant(NamedTuple):
    """What a player is owed until the next visit."""

    kind: str
    key: str
    amount_mpt: int
    source: str  #: where it comes from: mint or escrow
    made_s: int


class Ledger:
    """Balances and totals by player, and the ledger's rows.

    Args:
        people: whose balances.
        calendar: the days.
        sheets: where the rows go.
        rng: draws the node run that is said to have written all this.
    """

    def __init__(self, people: Population, calendar: Calendar, sheets: Sheets, rng: Random) -> None:
        size = people.count + 1
        zeros = bytes(8 * size)
        self.balance_mpt = array("q", zeros)
        self.lifetime_mpt = array("q", zeros)
        self.unposted_mpt = array("q", zeros)
        self.earned_mpt = 0  #: by the player of the present visit, since it began
        self.spent_mpt = 0
        self.minted_mpt = 0  #: by all, ever
        self.burned_mpt = 0
        self.owed: dict[int, list[Grant]] = {}
        self._calendar = calendar
        self._keys, self._entries, self._grants = (
            sheets["ledger_keys"],
            sheets["token_transactions"],
            sheets["player_grants"],
        )
        self._batches = sheets["write_batches"]
        self._run = uuid_text(rng)
        self._minted = array("q", bytes(8 * (people.count // _PLAYERS_A_BATCH + 2)))
        self._burned = array("q", self._minted)

    def spendable_mpt(self, player: int) -> int:
        """What of a balance is in the ledger."""
        return self.balance_mpt[player] - self.unposted_mpt[player]

    def post(self, player: int, kind: str, key: str, amount_mpt: int, at_s: int, counter: str = "mint") -> None:
        """Move an amount between a player and another account; negative: away from the player."""
        batch = player // _PLAYERS_A_BATCH
        self.balance_mpt[player] += amount_mpt
        if amount_mpt > 0:
            self.earned_mpt += amount_mpt
            self.lifetime_mpt[player] += amount_mpt
        else:
            self.spent_mpt -= amount_mpt
        if counter == "mint":
            self.minted_mpt += amount_mpt
            self._minted[batch] += amount_mpt
        elif counter == "burn":
            self.burned_mpt -= amount_mpt
            self._burned[batch] -= amount_mpt
        self._enter(player, kind, key, amount_mpt, at_s, counter)

    def earn(self, player: int, amount_mpt: int) -> None:
        """Income of taps, which gathers before it comes to the ledger."""
        self.balance_mpt[player] += amount_mpt
        self.lifetime_mpt[player] += amount_mpt
        self.unposted_mpt[player] += amount_mpt
        self.earned_mpt += amount_mpt
        self.minted_mpt += amount_mpt
        self._minted[player // _PLAYERS_A_BATCH] += amount_mpt

    def post_income(self, player: int, key: str, at_s: int) -> None:
        """Take the income that has gathered to the ledger."""
        if amount_mpt := self.unposted_mpt[player]:
            self.unposted_mpt[player] = 0
            self._enter(player, "tap_income", key, amount_mpt, at_s, "mint")

    def burn_escrow(self, kind: str, key: str, amount_mpt: int, at_s: int) -> None:
        """Burn what no player holds."""
        number, batch = self._keys.rows + 1, len(self._burned) - 1
        self.burned_mpt += amount_mpt
        self._burned[batch] += amount_mpt
        at = self._calendar.stamp(at_s)
        self._keys.add(f"{key}\t{number}\t{self._run}\t{batch + 1}")
        self._entries.add(
            f"{number}\t{at}\tescrow\t{NULL}\t{kind}\t{-amount_mpt}\t{NULL}\n"
            f"{number}\t{at}\tburn\t{NULL}\t{kind}\t{amount_mpt}\t{NULL}",
            rows=2,
        )

    def owe(self, player: int, grant: Grant) -> None:
        """Grant something; it is applied at the player's next visit."""
        self.owed.setdefault(player, []).append(grant)

    def apply_grants(self, player: int, at_s: int) -> None:
        """Give a visitor what is owed."""
        for grant in self.owed.pop(player, ()):
            self._grant_row(player, grant, self._calendar.stamp(at_s))
            if grant.amount_mpt:
                self.post(player, grant.kind, grant.key, grant.amount_mpt, at_s, grant.source)

    def close(self) -> None:
        """Write the batches, and the grants that are still open."""
        for player, grants in sorted(self.owed.items()):
            for grant in grants:
                self._grant_row(player, grant, NULL)
        committed_at = self._calendar.stamp(self._calendar.end_s - 1)
        for batch, (minted_mpt, burned_mpt) in enumerate(zip(self._minted, self._burned, strict=True), start=1):
            self._batches.add(f"{self._run}\t{batch}\t{minted_mpt}\t{burned_mpt}\t{committed_at}")

    def _enter(self, player: int, kind: str, key: str, amount_mpt: int, at_s: int, counter: str) -> None:
        number, at = self._keys.rows + 1, self._calendar.stamp(at_s)
        posted_mpt = self.balance_mpt[player] - self.unposted_mpt[player]
        self._keys.add(f"{key}\t{number}\t{self._run}\t{player // _PLAYERS_A_BATCH + 1}")
        self._entries.add(
            f"{number}\t{at}\tplayer\t{player}\t{kind}\t{amount_mpt}\t{posted_mpt}\n"
            f"{number}\t{at}\t{counter}\t{NULL}\t{kind}\t{-amount_mpt}\t{NULL}",
            rows=2,
        )

    def _grant_row(self, player: int, grant: Grant, applied_at: str) -> None:
        made_at = self._calendar.stamp(grant.made_s)
        self._grants.add(
            f"{self._grants.rows + 1}\t{player}\t{grant.key}\t{grant.kind}\t{grant.amount_mpt}\t{made_at}\t{applied_at}"
        )
