"""Players for load tests: `gameserver token`. A second process is no writer: what it gives them are grants."""

import os
from collections.abc import Iterator
from uuid import UUID, uuid4

from gameserver.clock import SystemClock
from gameserver.identity.tokens import TokenIssuer
from gameserver.schema import with_database
from gameserver.seeding import prepare_database
from gameserver.settings import Settings, signing_keys
from gameserver.wire.codec import encode_client
from gameserver.wire.messages import Hello, HelloBody
from gameserver.wire.ops import LINEAGE_BYTES
from persistence import player_store
from persistence.postgres import Database


def load_test_credentials(settings: Settings, players: int, *, ttl_s: int, as_hello: bool) -> Iterator[str]:
    """Make load-test players where they do not exist, grant each full energy, and give each a credential.

    Args:
        settings: dev settings.
        players: how many.
        ttl_s: life of the tokens in seconds.
        as_hello: whole HELLO payloads in hex, each with a new random lineage, instead of access tokens.

    Returns:
        One line per player.

    Raises:
        PersistenceError: the database cannot be used.
    """
    issuer = TokenIssuer(signing_keys(settings))
    now_s = SystemClock().now_ms() // 1_000

    async def make(database: Database) -> list[UUID]:
        await prepare_database(database, settings)
        return await player_store.create_load_test_players(database, players, now_ms=now_s * 1_000)

    for public_id in with_database(settings, make):
        token = issuer.issue(public_id, uuid4(), now_s, ttl_s=ttl_s)
        if as_hello:
            lineage = os.urandom(LINEAGE_BYTES)
            body = HelloBody(lineage=lineage, device="load-test", client="gameserver token", token=token)
            yield encode_client(Hello(body=body)).hex()
        else:
            yield token
