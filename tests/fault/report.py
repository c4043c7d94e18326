"""What a torture run prints at its end."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gameserver.wire.ops import CloseCode
from tests.fault.database_image import DatabaseImage
from tests.fault.faults import Kind
from tests.fault.history import History, LossWindow, loss_windows
from tests.fault.violations import Violation

SHOWN = 40  #: violations; the rest is counted


@dataclass(slots=True)
class Recoveries:
    """Kills, and how long it took until somebody was served again."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"server": [], "PostgreSQL": []})
    killed_again: int = 0  #: before anybody was served
    _postgres_runs: bool = True
    _since: dict[str, float] = field(default_factory=dict)  #: node's address, "" = PostgreSQL → when it was killed

    def killed(self, whom: str, now_s: float) -> None:
        """A server (by its address), or PostgreSQL ("")."""
        self.killed_again += whom in self._since
        self._since[whom] = now_s
        self._postgres_runs = self._postgres_runs and whom != ""

    def postgres_runs(self) -> None:
        """PostgreSQL answers again; what clients hear from now on may have been committed by it."""
        self._postgres_runs = True

    def welcomed(self, url: str, now_s: float) -> None:
        """The server at `url` has welcomed a client."""
        self._served(url, "server", now_s)

    def durable(self, now_s: float) -> None:
        """Something was committed."""
        if self._postgres_runs:  # else it is news from before the kill
            self._served("", "PostgreSQL", now_s)

    def _served(self, whom: str, what: str, now_s: float) -> None:
        since_s = self._since.pop(whom, None)
        if since_s is not None:
            self.seconds[what].append(now_s - since_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    seed: int
    seconds: float
    again: str  #: the command that runs it once more
    history: History
    image: DatabaseImage
    injected: Mapping[Kind, int]
    skipped: Mapping[Kind, int]
    server_kills: int
    postgres_restarts: int
    recoveries: Recoveries
    stolen: int  #: players that a server took from another one that held them
    violations: Sequence[Violation]
    remarks: Sequence[str]  #: what else is worth knowing

    def text(self) -> str:
        """The summary, violations last."""
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s; again: {self.again}",
            *_table("faults", {kind: _times(self.injected[kind], self.skipped[kind]) for kind in Kind}),
            *_table("operations", _operations(self.history, self.image)),
            *_table("sessions that the server ended", _goodbyes(self.history)),
            *_table("fights", {"seconds": f"{self.history.fight_s:.0f}", "players stolen": str(self.stolen)}),
            *_table("kills and recoveries", self._kills()),
            *_table("clients that died with their server", _windows(loss_windows(self.history, self.image.cursors))),
            *(f"remark: {remark}" for remark in self.remarks),
            f"violations: {len(self.violations)}",
            *(f"  {violation}" for violation in self.violations[:SHOWN]),
        ]
        if len(self.violations) > SHOWN:
            lines.append(f"  … and {len(self.violations) - SHOWN} more")
        return "\n".join(lines)

    def _kills(self) -> dict[str, str]:
        return {
            "kills of a server": str(self.server_kills),
            "  until it welcomed somebody": _spread(self.recoveries.seconds["server"]),
            "restarts of PostgreSQL": str(self.postgres_restarts),
            "  until something was durable": _spread(self.recoveries.seconds["PostgreSQL"]),
            "killed again before that": str(self.recoveries.killed_again),
        }


def _table(title: str, rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in rows.items())]


def _times(injected: int, skipped: int) -> str:
    return f"{injected}" + (f" ({skipped} found nobody to hit)" if skipped else "")


def _operations(history: History, image: DatabaseImage) -> dict[str, str]:
    sent = answered = durable = committed = hard = again = 0
    for lineage in history.lineages:
        cursor = image.cursors.get((lineage.player, lineage.lineage), 0)
        told = lineage.durable_seq
        operations = [operation for operation in lineage.operations.values() if operation.sendings]
        sent += len(operations)
        answered += len(lineage.answers())
        durable += sum(operation.seq <= told for operation in operations)
        committed += sum(operation.seq <= cursor for operation in operations)
        hard += sum(operation.hard for operation in operations)
        again += sum(operation.sendings - 1 for operation in operations)
    return {
        "lineages (of them died)": f"{len(history.lineages)} ({sum(not it.lives for it in history.lineages)})",
        "sent (of them hard)": f"{sent} ({hard})",
        "sent once more": str(again),
        "answered": str(answered),
        "told durable": str(durable),
        "committed": str(committed),
    }


def _goodbyes(history: History) -> dict[str, str]:
    total = sum((lineage.goodbyes for lineage in history.lineages), Counter[int]())
    return {f"{code} {CloseCode(code).name.lower()}": str(times) for code, times in sorted(total.items())} or {
        "none": ""
    }


def _windows(windows: Sequence[LossWindow]) -> dict[str, str]:
    lost = [window for window in windows if window.lost_operations]
    return {
        "clients": str(len(windows)),
        "of them lost answered operations": str(len(lost)),
        "operations lost": str(sum(window.lost_operations for window in lost)),
        "from the oldest lost one to the deaths": _spread([window.window_s for window in lost]),
    }


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s ({len(seconds)})"
