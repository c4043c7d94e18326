"""A running server: who asks too often is refused, or would be, and all of it is in the database and the metrics."""

import time
from typing import Any

import pytest

from gameserver.rate_limits.table import TABLE, LimitClass, Scope
from tests.fakes.database_probe import ask
from tests.fakes.server_http import log_in, metric
from tests.integration.test_revocation import call
from tests.server_process import ServerProcess

LIMIT = next(limit for limit in TABLE if (limit.scope, limit.limit_class) == (Scope.PLAYER, LimitClass.ACCOUNT_READ))
EXTRA = 5
LOGGED = "SELECT action, refused, window_s, player_id, address FROM rate_limit_logs"


def logged(dsn: str) -> list[tuple[Any, ...]]:
    """The rows of the log, once there are any."""
    deadline_s = time.monotonic() + 30
    while not (found := ask(dsn, LOGGED)):
        assert time.monotonic() < deadline_s
    return found


@pytest.mark.parametrize(("mode", "outcome"), [("on", "refused"), ("dry-run", "would_refuse"), ("off", "")])
def test_who_asks_too_often(database_dsn: str, mode: str, outcome: str) -> None:
    with ServerProcess(database_url=database_dsn, rate_limits=mode) as server:
        ada, eve = log_in(server, "ada"), log_in(server, "eve")
        answers = [call(server, "GET", "auth/verify", ada) for _ in range(LIMIT.count + EXTRA)]
        refused = [body for status, body in answers if status == 429]
        assert all(body["title"] == "Too Many Requests" for body in refused)
        assert call(server, "GET", "auth/verify", eve)[0] == 200
        labels = f'{{class="{LIMIT.limit_class}",outcome="{outcome or "refused"}",scope="player"}}'
        counted = metric(server, f"game_rate_limit_total{labels}")
        if mode == "on":
            assert counted == len(refused)
        else:
            assert refused == []
        assert (0 < counted <= EXTRA) == bool(outcome)  # fewer where a window ended meanwhile
        if outcome:
            [(player_id,)] = ask(database_dsn, "SELECT id FROM players WHERE dev_name = 'ada'")
            rows = logged(database_dsn)
            assert {(action, window_s, player, address) for action, _, window_s, player, address in rows} == {
                (LIMIT.name, LIMIT.window_s, player_id, None)
            }
            assert 0 < sum(row[1] for row in rows) <= counted
