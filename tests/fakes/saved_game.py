"""A game in a database that can be backed up, and what a test compares of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from persistence.backup import BackupReport, back_up
from persistence.backup_file import seal, sha256_of, sound_backup
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Database
from persistence.restore import restore
from tests.fakes.database_probe import add_node, claimed_players, rows
from tests.fakes.flushable_player import FlushablePlayer

#: what a restore changes on purpose, to fence servers of the time before
FENCED = ["owner_epoch", "run", "lease_until"]

#: without parentheses, for which PostgreSQL does not always print what it has read
_SCHEMA = """
    SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger', pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'constraint', conname || translate(pg_get_constraintdef(oid), '()', '') FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL SELECT 'view', viewname || translate(definition, '()', '') FROM pg_views
        WHERE schemaname = 'public'
    UNION ALL SELECT 'function', pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'comment', d.description FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid
        WHERE c.relnamespace = 'public'::regnamespace
"""
_RELATIONS = """
    SELECT relname::text, relkind::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') ORDER BY relname
"""


@asynccontextmanager
async def probe(dsn: str) -> AsyncIterator[Database]:
    """The database, open for a test: under another name than a server does, whose database is never overwritten."""
    async with Database.open(dsn, application="test") as database:
        yield database


async def play(database: Database, count: int = 5) -> list[FlushablePlayer]:
    """Players with cursors, a balance, and a part of it in the ledger; their node has died."""
    players = await claimed_players(database, count)
    for number, player in enumerate(players, start=1):
        player.tap(1_000 * number)
        player.post(f"taps:{uuid4()}")
        player.tap(500)
    await flush(database, players)
    await add_node(database, "node-1", lease_s=-1)
    return players


async def flush(database: Database, players: list[FlushablePlayer]) -> frozenset[int] | None:
    """Write what they have earned; returns whose writes counted."""
    writes = [write for player in players if (write := player.take_writes()) is not None]
    return await database.transaction(write_by_steps, uuid4(), 1, writes)


async def fingerprint(dsn: str, *, without: list[str] | None = None) -> dict[str, Any]:
    """Everything in a database: each table's rows and checksum, sequences, and the schema as PostgreSQL prints it.

    Args:
        dsn: its address.
        without: columns to leave out.
    """
    async with probe(dsn) as database:
        found: dict[str, Any] = {"schema": set(await rows(database, _SCHEMA))}
        for name, kind in await rows(database, _RELATIONS):
            if kind == "S":
                found[name] = await rows(database, f"SELECT last_value, is_called FROM {name}")
            else:
                found[name] = await rows(
                    database,
                    f"SELECT count(*), md5(string_agg((to_jsonb(t) - $1::text[])::text, ' '"
                    f" ORDER BY (to_jsonb(t) - $1::text[])::text)) FROM {name} AS t",
                    without or [],
                )
    return found


async def databases_for_verification(database: Database) -> list[str]:
    """Those that backups of any test of this server have made and not dropped."""
    found = await rows(database, "SELECT datname::text FROM pg_database WHERE datname LIKE 'ppj_verify_%' ORDER BY 1")
    return [name for (name,) in found]


async def save(dsn: str, path: Path, *, verify: bool = True) -> BackupReport:
    """`gameserver backup`."""
    return await back_up(dsn, path, server_version="1.2.3", embedded=True, verify=verify, announce=_one_line)


async def bring_back(dsn: str, path: Path, *, force: bool = False) -> BackupReport:
    """`gameserver restore`."""
    with sound_backup(path) as backup:
        return await restore(dsn, backup, force=force, embedded=True, announce=_one_line)


def forged(path: Path, *, dump: bytes | None = None, **changes: object) -> Path:
    """A copy of a backup with another dump or manifest and a seal that fits."""
    with sound_backup(path) as backup:
        manifest = backup.manifest
        backup.file.seek(0)
        data = backup.file.read(manifest.dump_bytes) if dump is None else dump
    if dump is not None:
        other = path.with_name("dump")
        other.write_bytes(dump)
        with other.open("rb") as file:
            changes |= {"dump_bytes": len(dump), "dump_sha256": sha256_of(file, len(dump))}
    copy = path.with_name(f"forged-{path.name}")
    copy.write_bytes(data)
    with copy.open("r+b") as file:
        seal(file, msgspec.structs.replace(manifest, **changes))
    return copy


def _one_line(line: str) -> None:
    assert line
    assert "\n" not in line
