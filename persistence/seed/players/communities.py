"""Communities: founded by some of those who can; the larger, the more join, which makes their sizes Zipf's."""

from array import array
from dataclasses import dataclass, field

from persistence.seed.players.calendar import DAY_S
from persistence.seed.players.content import Upgrade
from persistence.seed.players.population import uuid_text
from persistence.seed.players.sheets import NULL
from persistence.seed.players.stage import Stage

PLAYERS_A_COMMUNITY = 120  #: at most one community for so many players, and one at least
_FOUNDING_MPT = 1_000_000
_MEMBERS_MAX = 10_000
_JOIN, _LEAVE, _FOUND, _DONATE = 0.12, 0.006, 0.2, 0.04  #: how likely on a visit
_ANYWHERE = 0.1  #: of those who join choose any community, the rest go where somebody is
_OFFICERS = 3
_DONATION_MIN_MPT = 10_000
_JOINING = ("open", "open", "open", "request", "invitation")
_WHERE = (
    "Lock Street", "Mill Lane", "North Quay", "Old Market", "Station Road", "The Wendle", "Hill End", "Garden Row",
    "East Bridge", "Chapel Yard", "Foundry", "Harbour",
)  # fmt: skip
_WHAT = ("Neighbours", "Choir", "Kitchen", "Workshop", "Readers", "Runners", "Allotment", "Night Shift", "Repair Café")


@dataclass(slots=True)
class _Member:
    community: int
    joined_s: int
    role: str
    taps: int = 0
    donated_mpt: int = 0


@dataclass(slots=True)
class _Community:
    public_id: str
    founded_s: int
    power: int = 0
    treasury_mpt: int = 0
    members: int = 1
    officers: int = 0
    left: set[int] = field(default_factory=set)


class Communities:
    """Who belongs where.

    Args:
        stage: the game.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._most = max(1, stage.people.count // PLAYERS_A_COMMUNITY)
        self._communities: list[_Community] = []
        self._members: dict[int, _Member] = {}
        self._seats = array("l")  # a community's number once for each who joined it

    def of(self, player: int) -> str | None:
        """The public id of a player's community."""
        member = self._members.get(player)
        return None if member is None else self._communities[member.community - 1].public_id

    def visit(self, player: int, taps: int, at_s: int) -> None:
        """A visitor's taps count for the community; some join, leave, found one, give."""
        rng, member = self._stage.rng, self._members.get(player)
        if member is None:
            if not self._found(player, at_s) and self._communities and rng.random() < _JOIN:
                self._join(player, at_s)
            return
        community = self._communities[member.community - 1]
        member.taps += taps
        community.power += taps
        draw = rng.random()
        if draw < _DONATE:
            self._donate(player, member, community, at_s)
        elif draw > 1 - _LEAVE and member.role == "member":
            self._leave(player, member, community, at_s)

    def evening(self, day: int) -> None:
        """Write down how powerful each community is."""
        text, sheet = self._stage.calendar.texts[day], self._stage.sheets["community_daily_power"]
        for number, community in enumerate(self._communities, start=1):
            if community.power:
                sheet.add(f"{number}\t{text}\t{community.power}")

    def close(self) -> None:
        """Spend what was given, and write the communities and their members."""
        sheets, stamp, end_s = self._stage.sheets, self._stage.calendar.stamp, self._stage.calendar.end_s
        for number, community in enumerate(self._communities, start=1):
            self._upgrade(number, community, end_s - 600)
            place, purpose = (number - 1) % len(_WHERE), (number - 1) // len(_WHERE) % len(_WHAT)
            founded_at = stamp(community.founded_s)
            joining = _JOINING[number % len(_JOINING)]
            sheets["communities"].add(
                f"{number}\t{community.public_id}\t{_WHERE[place]} {_WHAT[purpose]} {number}\t\t{joining}"
                f"\t{community.power}\t{community.treasury_mpt}\t{founded_at}\t{founded_at}"
            )
        for player, member in sorted(self._members.items()):
            self._row(player, member, "active", NULL)

    def _found(self, player: int, at_s: int) -> bool:
        stage = self._stage
        if (
            len(self._communities) >= self._most
            or stage.level(player) < 5
            or stage.ledger.spendable_mpt(player) < _FOUNDING_MPT
            or (self._communities and stage.rng.random() > _FOUND)
        ):
            return False
        self._communities.append(_Community(uuid_text(stage.rng), at_s))
        number = len(self._communities)
        stage.ledger.post(player, "community_creation", f"community:{number}", -_FOUNDING_MPT, at_s, "burn")
        self._members[player] = _Member(number, at_s, "owner")
        self._seats.append(number)
        return True

    def _join(self, player: int, at_s: int) -> None:
        rng = self._stage.rng
        anywhere = rng.random() < _ANYWHERE
        number = rng.randrange(len(self._communities)) + 1 if anywhere else rng.choice(self._seats)
        community = self._communities[number - 1]
        # who has left one does not come back
        if community.members < _MEMBERS_MAX and player not in community.left and community.founded_s < at_s:
            community.members += 1
            community.officers += community.officers < _OFFICERS
            role = "officer" if community.officers == community.members - 1 else "member"
            self._members[player] = _Member(number, at_s, role)
            self._seats.append(number)

    def _leave(self, player: int, member: _Member, community: _Community, at_s: int) -> None:
        self._row(player, member, "left", self._stage.calendar.stamp(at_s))
        community.left.add(player)
        community.members -= 1
        del self._members[player]

    def _donate(self, player: int, member: _Member, community: _Community, at_s: int) -> None:
        ledger = self._stage.ledger
        amount_mpt = ledger.spendable_mpt(player) // 20
        if amount_mpt >= _DONATION_MIN_MPT:
            key = f"donation:{player}:{self._stage.calendar.texts[at_s // DAY_S]}"
            ledger.post(player, "community_donation", key, -amount_mpt, at_s, "escrow")
            member.donated_mpt += amount_mpt
            community.treasury_mpt += amount_mpt

    def _upgrade(self, number: int, community: _Community, at_s: int) -> None:
        for upgrade in self._stage.content.upgrades:
            level = spent_mpt = 0
            while self._can_buy(upgrade, level, community):
                price_mpt = upgrade.base_price_mpt << level
                level += 1
                spent_mpt += price_mpt
                community.treasury_mpt -= price_mpt
                self._stage.ledger.burn_escrow(
                    "upgrade", f"community_upgrade:{number}:{upgrade.id}:{level}", price_mpt, at_s
                )
            if level:
                bought_at = self._stage.calendar.stamp(at_s)
                self._stage.sheets["community_upgrades"].add(
                    f"{number}\t{upgrade.id}\t{level}\t{spent_mpt}\t{bought_at}"
                )

    def _can_buy(self, upgrade: Upgrade, level: int, community: _Community) -> bool:
        return (
            level < upgrade.max_level
            and community.members >= upgrade.min_members
            and community.treasury_mpt >= upgrade.base_price_mpt << level
        )

    def _row(self, player: int, member: _Member, state: str, left_at: str) -> None:
        self._stage.sheets["community_members"].add(
            f"{member.community}\t{player}\t{member.role}\t{state}\t{member.taps}\t{member.donated_mpt}"
            f"\t{self._stage.calendar.stamp(member.joined_s)}\t{left_at}"
        )
