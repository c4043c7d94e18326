"""The days of a seeded history, as seconds since its first midnight (UTC) and as PostgreSQL reads them."""

from datetime import UTC, date, datetime, timedelta

DAY_S = 86_400
LATEST_S = 80_000  #: nobody comes later in the day, so that no visit lasts into the next
_CLOCK = [f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}+00" for s in range(DAY_S)]


class Calendar:
    """The days from the first to the last.

    Args:
        until: the last day.
        days: how many there are.
    """

    def __init__(self, until: date, days: int) -> None:
        self.days = days
        self.until = until
        self.first = until - timedelta(days=days - 1)
        self.end_s = days * DAY_S  #: the midnight after the last day
        # some days more than the history has, for what ends after it
        self.dates = [self.first + timedelta(days=day) for day in range(days + 100)]
        self._mondays = [day - timedelta(days=day.weekday()) for day in self.dates]
        self.texts = [day.isoformat() for day in self.dates]

    def stamp(self, at_s: int) -> str:
        """A second as PostgreSQL reads a timestamptz."""
        day, second = divmod(at_s, DAY_S)
        return f"{self.texts[day]} {_CLOCK[second]}"

    def moment(self, at_s: int) -> datetime:
        """A second as a time."""
        return datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC) + timedelta(seconds=at_s)

    def monday(self, day: int) -> date:
        """The Monday of a day's week."""
        return self._mondays[day]
