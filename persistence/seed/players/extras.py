"""What a visitor does beside tapping: habits, missions, mini-games, shares, achievements, upgrades, titles.

The last days are there in every detail; what older days would have left in the detailed tables is pruned or read by
nobody, and would only make the data set larger.
"""

from array import array
from itertools import accumulate

from hotpath.rules import BP, MPT_PER_PT, generation_bonus_bp
from persistence.seed.players.calendar import DAY_S
from persistence.seed.players.content import Achievement, Mission
from persistence.seed.players.population import uuid_text
from persistence.seed.players.sheets import NULL
from persistence.seed.players.stage import Stage

DETAILED_DAYS = 3
_HABITUAL = 0.08  #: of the players have habits, on every day they come
_MISSIONARY = 0.3  #: look at their missions
_PLAY, _SHARE, _BUY_TITLE = 0.06, 0.01, 0.01  #: how likely on a visit
_DAILY, _WEEKLY = 3, 2  #: slots
_HABIT_XP = 20
_SHARE_MPT = 100_000
_REROLL_MPT = 100_000
_UPGRADE_BASE_MPT = 1_000_000
_PLATFORMS = ("telegram_story", "telegram_chat", "x", "facebook", "instagram", "whatsapp", "tiktok")
_UNIT = {"tokens": MPT_PER_PT}


class Extras:
    """Everything of a visit that is neither taps nor story nor other people.

    Args:
        stage: the game.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._detailed_from = stage.calendar.days - DETAILED_DAYS
        people, rng = stage.people, stage.rng
        self._habitual = bytearray(rng.random() < _HABITUAL for _ in range(people.count + 1))
        self._missionary = bytearray(rng.random() < _MISSIONARY for _ in range(people.count + 1))
        # supporters are derived from what the whole game knows at the end: nobody has been rewarded for them yet
        self._watched = [metric for metric in stage.content.achievements if metric != "supporters"]
        self._reached = {metric: bytearray(people.count + 1) for metric in self._watched}
        self._totals = {
            "taps": stage.progress.taps,
            "tokens": stage.ledger.lifetime_mpt,
            "streak": stage.progress.streak_days,
            "missions": stage.progress.missions,
            "wins": stage.progress.wins,
        }
        self._templates: dict[tuple[str, bool], tuple[list[Mission], list[int]]] = {}
        for period in ("day", "week"):
            for early in (False, True):
                templates = [m for m in stage.content.missions if m.period == period and (early or not m.early)]
                self._templates[period, early] = (templates, list(accumulate(m.weight for m in templates)))
        self._titled = bytearray(people.count + 1)

    def visit(self, player: int, day: int, at_s: int) -> int:
        """What a visitor does after tapping; returns when it was done."""
        rng = self._stage.rng
        if self._habitual[player]:
            at_s = self._habits(player, day, at_s)
        if day >= self._detailed_from and self._missionary[player]:
            at_s = self._missions(player, day, at_s)
        if day >= self._detailed_from and rng.random() < _PLAY:
            at_s = self._play(player, day, at_s)
        if rng.random() < _SHARE:
            at_s = self._share(player, day, at_s)
        at_s = self._upgrade(player, at_s + 5)
        if not self._titled[player] and rng.random() < _BUY_TITLE:
            self._buy_title(player, at_s)
        for metric in self._watched:
            self._unlock(player, metric, at_s)
        return at_s

    def _habits(self, player: int, day: int, at_s: int) -> int:
        stage, progress = self._stage, self._stage.progress
        if progress.habit_day[player] != day:
            streak = progress.streak_days[player] + 1 if progress.habit_day[player] == day - 1 else 1
            progress.streak_days[player], progress.habit_day[player] = streak, day
            reward_mpt = 500 * (1 + (streak - 1) % 7) * (10 + min(10, (streak - 1) // 7)) // 10 * MPT_PER_PT
            text = stage.calendar.texts[day]
            habits = stage.rng.sample(stage.content.habits, min(len(stage.content.habits), stage.rng.choice((1, 1, 2))))
            for habit in habits:
                at_s += 20
                stage.sheets["player_habit_progress"].add(
                    f"{player}\t{text}\t{habit}\t{streak}\t{reward_mpt}\t{stage.calendar.stamp(at_s)}"
                )
                stage.ledger.post(player, "habit_reward", f"habit:{player}:{text}:{habit}", reward_mpt, at_s)
                progress.xp[player] += _HABIT_XP
        return at_s

    def _missions(self, player: int, day: int, at_s: int) -> int:
        at_s = self._draw(player, "day", day, _DAILY, at_s, open_=day == self._stage.calendar.days - 1)
        monday = self._stage.calendar.dates[day].weekday()
        first_visit = self._stage.progress.last_seen_s[player] < (day - monday) * DAY_S
        if first_visit or self._stage.people.joined_on(player) == day:
            at_s = self._draw(player, "week", day, _WEEKLY, at_s, open_=True)
        return at_s

    def _draw(self, player: int, period: str, day: int, slots: int, at_s: int, *, open_: bool) -> int:
        """Missions of a period, and how far they have come."""
        stage, rng = self._stage, self._stage.rng
        start = stage.calendar.texts[day] if period == "day" else stage.calendar.monday(day).isoformat()
        generation = stage.people.generation[player]
        templates, weights = self._templates[period, generation <= 3]
        bonus_bp = BP + generation_bonus_bp(generation)
        drawn: set[int] = set()
        slot = 0
        while slot < slots and len(drawn) < len(templates):
            mission = rng.choices(templates, cum_weights=weights)[0]
            if mission.id in drawn:
                continue
            drawn.add(mission.id)
            target = _two_digits(mission.base_target * (10 + stage.level(player)) // 10)
            reward_mpt, reward_xp = 2 * target * MPT_PER_PT * bonus_bp // BP, target // 10
            made_at, draw = stage.calendar.stamp(at_s), rng.random()
            completed = claimed = NULL
            progress = target
            if draw < 0.35:
                state, completed, claimed = "claimed", stage.calendar.stamp(at_s + 10), stage.calendar.stamp(at_s + 15)
                self._claim(player, f"mission:{player}:{period}:{start}:{slot}", reward_mpt, reward_xp, at_s + 15)
                at_s += 15
            elif draw < 0.4:
                state, completed = "completed", stage.calendar.stamp(at_s + 10)
            else:
                state, progress = "active" if open_ else "expired", int(rng.random() ** 2 * target)
            rerolled = state == "active" and len(drawn) == 1 and stage.ledger.spendable_mpt(player) >= 5 * _REROLL_MPT
            if rerolled and period == "day" and rng.random() < 0.1:
                # an exchanged mission moves out of its slot's way
                self._row(
                    player, period, start, slot + 5, mission.id, "rerolled", target, reward_mpt, reward_xp, made_at
                )
                key = f"mission_reroll:{player}:{start}"
                stage.ledger.post(player, "mission_reroll", key, -_REROLL_MPT, at_s, "burn")
                continue
            self._row(
                *(player, period, start, slot, mission.id, state, target, reward_mpt, reward_xp, made_at),
                progress=progress,
                completed=completed,
                claimed=claimed,
            )
            slot += 1
        return at_s

    def _row(
        self,
        player: int,
        period: str,
        start: str,
        slot: int,
        mission: int,
        state: str,
        target: int,
        reward_mpt: int,
        reward_xp: int,
        made_at: str,
        *,
        progress: int = 0,
        completed: str = NULL,
        claimed: str = NULL,
    ) -> None:
        self._stage.sheets["player_missions"].add(
            f"{player}\t{period}\t{start}\t{slot}\t{mission}\t{state}\t{target}\t{progress}\t{reward_mpt}\t{reward_xp}"
            f"\t{made_at}\t{completed}\t{claimed}"
        )

    def _claim(self, player: int, key: str, reward_mpt: int, reward_xp: int, at_s: int) -> None:
        self._stage.ledger.post(player, "mission_reward", key, reward_mpt, at_s)
        self._stage.progress.xp[player] += reward_xp
        self._stage.progress.missions[player] += 1

    def _play(self, player: int, day: int, at_s: int) -> int:
        stage, rng = self._stage, self._stage.rng
        games = [game for game in stage.content.mini_games if game.min_level <= stage.level(player)]
        if not games:
            return at_s
        game = rng.choice(games)
        for _ in range(rng.randrange(1, 4)):
            play, draw = uuid_text(rng), rng.random()
            duration_s = rng.randrange(game.time_limit_s // 2, game.time_limit_s)
            score = int(rng.random() * game.max_score_per_s * duration_s)
            began, limit = stage.calendar.stamp(at_s), stage.calendar.stamp(at_s + game.time_limit_s)
            at_s += duration_s
            if draw < 0.9:
                reward_mpt = game.reward_mpt * min(score, game.score_cap) // game.score_cap
                end = f"finished\t{{}}\t{stage.calendar.stamp(at_s)}\t{duration_s * 1000}\t{score}\t{reward_mpt}"
                if reward_mpt:
                    stage.ledger.post(player, "mini_game_reward", f"mini_game:{play}", reward_mpt, at_s)
            elif draw < 0.97 or day < stage.calendar.days - 1:
                end = f"abandoned\t{{}}\t{limit}\t{NULL}\t{NULL}\t0"
            else:
                end = f"started\t{{}}\t{NULL}\t{NULL}\t{NULL}\t0"
            state, rest = end.split("\t{}\t")
            stage.sheets["mini_game_sessions"].add(
                f"{play}\t{player}\t{game.id}\t{state}\t{rng.getrandbits(50)}\t{began}\t{limit}\t{rest}"
            )
        return at_s

    def _share(self, player: int, day: int, at_s: int) -> int:
        stage = self._stage
        platform, text = stage.rng.choice(_PLATFORMS), stage.calendar.texts[day]
        at_s += 30
        stage.sheets["social_shares"].add(f"{player}\t{platform}\t{text}\t{_SHARE_MPT}\t{stage.calendar.stamp(at_s)}")
        # one visit a day, one share a visit: no platform twice
        stage.ledger.post(player, "share_reward", f"share:{player}:{platform}:{text}", _SHARE_MPT, at_s)
        return at_s

    def _upgrade(self, player: int, at_s: int) -> int:
        """Spend on what pays back, while there is plenty."""
        stage, progress = self._stage, self._stage.progress
        for name, levels, factor in (
            ("tap", progress.tap_level, 1),
            ("energy_cap", progress.energy_cap_level, 1),
            ("energy_regen", progress.energy_regen_level, 2),
        ):
            price_mpt = _UPGRADE_BASE_MPT * factor << levels[player] - 1
            if levels[player] < 20 and stage.ledger.spendable_mpt(player) >= 2 * price_mpt:
                levels[player] += 1
                key = f"upgrade:{player}:{name}:{levels[player]}"
                stage.ledger.post(player, "upgrade", key, -price_mpt, at_s, "burn")
                at_s += 2
        return at_s

    def _buy_title(self, player: int, at_s: int) -> None:
        stage = self._stage
        for title in stage.content.titles:
            if title.min_level <= stage.level(player) and title.price_mpt <= stage.ledger.spendable_mpt(player):
                stage.ledger.post(player, "cosmetic", f"title:{player}:{title.id}", -title.price_mpt, at_s, "burn")
                stage.sheets["player_titles"].add(f"{player}\t{title.id}\t{stage.calendar.stamp(at_s)}\tt")
                self._titled[player] = 1
                return

    def _unlock(self, player: int, metric: str, at_s: int) -> None:
        achievements, reached = self._stage.content.achievements[metric], self._reached[metric]
        total: array[int] = self._totals[metric]
        while reached[player] < len(achievements):
            achievement = achievements[reached[player]]
            if total[player] < achievement.target * _UNIT.get(metric, 1):
                return
            reached[player] += 1
            self._award(player, achievement, at_s)

    def _award(self, player: int, achievement: Achievement, at_s: int) -> None:
        stage = self._stage
        stage.sheets["player_achievements"].add(f"{player}\t{achievement.id}\t{stage.calendar.stamp(at_s)}")
        if achievement.reward_mpt:
            key = f"achievement:{player}:{achievement.id}"
            stage.ledger.post(player, "achievement_reward", key, achievement.reward_mpt, at_s)
        stage.progress.xp[player] += achievement.reward_xp
        if achievement.badge_id is not None:
            stage.badge(player, achievement.badge_id, at_s)
        if achievement.title_id is not None:
            stage.sheets["player_titles"].add(f"{player}\t{achievement.title_id}\t{stage.calendar.stamp(at_s)}\tf")


def _two_digits(value: int) -> int:
    """A value cut to its two significant digits."""
    scale: int = 10 ** max(0, len(str(value)) - 2)
    return value // scale * scale
