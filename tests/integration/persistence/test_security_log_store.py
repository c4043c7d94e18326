"""Entries of the security log, against a real PostgreSQL."""

from uuid import UUID, uuid4

from persistence.postgres import Database
from persistence.security_log_store import SecurityEntry, SecurityEvent, SecurityLogStore, Severity
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS
from tests.integration.persistence.test_session_store import log_in

REFUSED = SecurityEvent.LOGIN_REFUSED


async def test_entries_are_added_with_what_is_known(database: Database) -> None:
    ada = await log_in(database)
    await SecurityLogStore(database).write(
        [
            SecurityEntry(AT_MS, REFUSED, Severity.WARNING, ada.public_id, "token: banned", UUID(int=7), "abcd", 3),
            SecurityEntry(AT_MS + 1, REFUSED, Severity.INFO, uuid4(), "'; DROP TABLE players; --", None, "", 1),
        ]
    )
    found = await rows(
        database,
        "SELECT ms_from_time(at), severity::text, player_id, address, detail->>'reason', detail->>'session',"
        " detail->>'address_hash', (detail->>'times')::int FROM security_logs"
        " WHERE event = 'login_refused' ORDER BY id",
    )
    assert found == [
        (AT_MS, "warning", ada.player_id, None, "token: banned", str(UUID(int=7)), "abcd", 3),
        (AT_MS + 1, "info", None, None, "'; DROP TABLE players; --", None, None, 1),
    ]
