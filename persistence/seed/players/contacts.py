"""Players among each other and with us: friends, chat, devices, notifications, what analysts and guards look at."""

from persistence.seed.players.calendar import DAY_S
from persistence.seed.players.communities import Communities
from persistence.seed.players.sheets import NULL, plain
from persistence.seed.players.stage import Stage

SESSION_DAYS = 3  #: sessions and devices of the last days
_FRIENDS = (0, 0, 0, 1, 1, 2, 3, 5)  #: how many a player asks
_NEIGHBOURHOOD = 25  #: how far friends usually are from each other in the order of joining
_TALK = 0.04  #: how likely on a visit
_EVENT, _SUSPECT = 0.02, 0.001
_NOTIFY = 0.05
_READ = 0.6
_WORDS = (
    "Morning!", "Who is up for the competition tonight?", "Nearly level ten.", "Thank you for the invitation.",
    "The river chapter is lovely.", "Good night, everyone.", "Is the market open on Sunday?", "Well done!",
)  # fmt: skip


class Contacts:
    """What players do with each other.

    Args:
        stage: the game.
        communities: where they talk.
    """

    def __init__(self, stage: Stage, communities: Communities) -> None:
        self._stage = stage
        self._communities = communities
        self._devices: dict[int, int] = {}
        self._said: list[tuple[int, int, str]] = []  # at, who, where
        self._suspected: dict[int, tuple[int, int, int]] = {}  # who -> first and last time, the last score
        self._from_day = stage.calendar.days - SESSION_DAYS

    def visit(self, player: int, day: int, began_s: int, ended_s: int, taps: int, combo: int, earned_mpt: int) -> None:
        """What a visit leaves behind."""
        if day < self._from_day:
            return
        stage, rng = self._stage, self._stage.rng
        stamp = stage.calendar.stamp
        device = self._devices.get(player)
        if device is None:
            device = self._devices[player] = len(self._devices) + 1
            stage.sheets["devices"].add(
                f"{device}\t{player}\tseed-{device:08}\tminiapp 1.0\t10.{device >> 16 & 255}.{device >> 8 & 255}"
                f".{device & 255}\t{stamp(began_s)}\t{stamp(ended_s)}"
            )
        sessions = stage.sheets["game_sessions"]
        sessions.add(
            f"{sessions.rows + 1}\t{player}\t{device}\t{stamp(began_s)}\t{stamp(ended_s)}\t{taps}\t0"
            f"\t{earned_mpt}\t{combo}"
        )
        draw = rng.random()
        if draw < _TALK:
            community = self._communities.of(player)
            channel = f"community:{community}" if community is not None and rng.random() < 0.7 else "global"
            self._said.append((ended_s, player, channel))
        elif draw < _TALK + _EVENT:
            events = stage.sheets["analytics_events"]
            events.add(f'{events.rows + 1}\t{stamp(began_s)}\tsession_started\t{player}\t{{"taps": {taps}}}')
        elif draw < _TALK + _EVENT + _SUSPECT:
            self._suspect(player, ended_s)
        elif draw < _TALK + _EVENT + _SUSPECT + _NOTIFY:
            self._notify(player, ended_s)

    def close(self) -> None:
        """Write who said what, in order, and who is friends with whom."""
        stage = self._stage
        numbers: dict[str, int] = {}
        for at_s, player, channel in sorted(self._said):
            seq = numbers[channel] = numbers.get(channel, 0) + 1
            stage.sheets["chat_messages"].add(
                f"{channel}\t{seq}\t{player}\t{stage.rng.choice(_WORDS)}\t{stage.calendar.stamp(at_s)}"
            )
        for (player, character), (bond, day) in sorted(stage.characters.items()):
            stage.sheets["emotional_investments"].add(
                f"{player}\tcharacter\t{plain(character)}\t{bond}\t{stage.calendar.texts[day]}"
            )
        for player, (first_s, last_s, score) in sorted(self._suspected.items()):
            stage.sheets["suspicion_cases"].add(
                f'{player}\tcleared\t{score}\t{{"pace": {score}}}\t{stage.calendar.stamp(first_s)}'
                f"\t{stage.calendar.stamp(last_s)}\t{stage.calendar.stamp(last_s + 60)}"
            )
        self._befriend()

    def _suspect(self, player: int, at_s: int) -> None:
        """Somebody was over the threshold; an operator has looked, and found nothing."""
        score = self._stage.rng.randrange(6_000, 7_000)
        logged = self._stage.sheets["security_logs"]
        logged.add(
            f"{logged.rows + 1}\t{self._stage.calendar.stamp(at_s)}\tsuspicion\twarning\t{player}\t{score}"
            f'\t{{"pace": {score}}}'
        )
        first_s = self._suspected.get(player, (at_s, 0, 0))[0]
        self._suspected[player] = min(first_s, at_s), max(first_s, at_s), score

    def _notify(self, player: int, at_s: int) -> None:
        stage, rng = self._stage, self._stage.rng
        sheet, stamp = stage.sheets["notifications"], stage.calendar.stamp
        number, read = sheet.rows + 1, rng.random() < _READ
        sheet.add(
            f"{number}\t{player}\treminder:{at_s // DAY_S}\treminder\t{{}}\t{stamp(at_s)}\t{stamp(at_s + 30 * DAY_S)}"
            f"\t{stamp(at_s + 30) if read else NULL}"
        )
        if not read:
            sent = rng.random() < 0.9
            stage.sheets["notification_outbox"].add(
                f"{number}\t{'sent' if sent else 'waiting'}\t{int(sent)}\t{stamp(at_s + 60)}"
                f"\t{stamp(at_s + 61) if sent else NULL}"
            )

    def _befriend(self) -> None:
        stage, rng = self._stage, self._stage.rng
        for player in range(2, stage.people.count + 1):
            friends = set()
            for _ in range(rng.choice(_FRIENDS)):
                friends.add(max(1, player - 1 - int(rng.expovariate(1 / _NEIGHBOURHOOD))))
            if inviter := stage.people.inviter[player]:
                friends.add(inviter)
            changed_at = stage.calendar.stamp(stage.people.joined_s[player] + 60)
            for friend in sorted(friends):
                draw = rng.random()
                state = "accepted" if draw < 0.85 else "requested" if draw < 0.98 else "blocked"
                acted_by = player if state == "requested" else rng.choice((player, friend))
                # asked only of those who were there before, so no pair comes twice
                stage.sheets["friendships"].add(f"{friend}\t{player}\t{state}\t{acted_by}\t{changed_at}")
