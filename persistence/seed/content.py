"""Loads content: `gameserver seed --content`, and once into a database that has none.

One transaction compares the files with the tables and writes only what differs; the same files a second time change
nothing and tell nobody. What vanishes from the files is retired where players' rows may point to it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from persistence.errors import SetupFailed
from persistence.postgres import Connection, Database
from persistence.seed.content_checks import read_content
from persistence.seed.content_files import STORY, Content
from persistence.seed.content_tables import TABLES, ContentRow, ContentTable, wanted_rows
from persistence.seed.content_versions import content_was_loaded

_LOCK = 0x7070_6A5F_636F_6E74  # "ppj_cont"
_VERSION = """
    INSERT INTO content_versions (name, checksum, entries) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, entries = excluded.entries, loaded_at = now()
"""
_MADE = """
    SELECT c.key::text, count(*) FROM story_choices AS c JOIN player_story_choices AS p ON p.choice_id = c.id
    WHERE c.id = ANY($1::integer[]) GROUP BY c.id ORDER BY c.id LIMIT 1
"""
_VISITED = """
    SELECT s.key::text, count(*)
    FROM story_scenes AS s JOIN player_chapter_progress AS p ON (p.chapter_id, p.scene_id) = (s.chapter_id, s.id)
    WHERE s.id = ANY($1::integer[]) GROUP BY s.id ORDER BY s.id LIMIT 1
"""
_IN_USE = {
    "story_choices": (_MADE, "have made it; keep it, and close it with min_level = 1000 if nobody else should"),
    "story_scenes": (_VISITED, "stand in it; keep it"),
}


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """What loading did to one table."""

    table: str
    entries: int  #: that the files hold
    added: int = 0
    changed: int = 0  #: retired ones that came back included
    retired: int = 0
    removed: int = 0


@dataclass(slots=True)
class _Difference:
    """How a table differs from what the files want."""

    table: ContentTable
    entries: int
    added: list[ContentRow] = field(default_factory=list)
    changed: list[ContentRow] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)

    @property
    def loaded(self) -> LoadedTable:
        retired, removed = (len(self.vanished), 0) if self.table.retires else (0, len(self.vanished))
        return LoadedTable(self.table.name, self.entries, len(self.added), len(self.changed), retired, removed)


async def load_content(database: Database, content: Content) -> list[LoadedTable]:
    """Make the database's content what the files hold.

    Args:
        database: with the present schema.
        content: as `read_content` returns it.

    Returns:
        What was done to each table.

    Raises:
        SetupFailed: it cannot take the place of what is loaded; the sentence says which entry is in the way.
        DatabaseUnavailable: nothing was loaded; try again.
    """
    return await database.transaction(_load, content)


async def load_shipped_content(database: Database) -> bool:
    """Load the game's own content where none was ever loaded.

    Returns:
        Whether it was loaded.

    Raises:
        SetupFailed: rows that somebody else put there are in the way.
        Rejected: the same.
        DatabaseUnavailable: nothing was loaded; try again.
    """
    return await database.transaction(_load_first, read_content())


async def _load_first(connection: Connection, content: Content) -> bool:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    if await content_was_loaded(connection):
        return False
    await _load(connection, content)
    return True


async def _load(connection: Connection, content: Content) -> list[LoadedTable]:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    versions = await connection.fetch("SELECT name, checksum FROM content_versions")
    known = {row["name"]: row["checksum"] for row in versions}
    stale = {kind for kind, checksum in content.checksums.items() if known.get(kind) != checksum}
    wanted = wanted_rows(content)
    differences = [
        await _compare(connection, table, wanted[table.name], wanted)
        if table.kind in stale
        else _Difference(table, len(wanted[table.name]))
        for table in TABLES
    ]
    for difference in differences:
        await _make_room(connection, difference)
    for difference in differences:
        await _write(connection, difference)
    for difference in reversed(differences):  # what points to others goes before them
        await _take_away(connection, difference)
    if STORY in stale:
        await _insist_on_a_playable_story(connection)
    for kind in sorted(stale):
        entries = sum(len(wanted[table.name]) for table in TABLES if table.kind == kind)
        await connection.execute(_VERSION, kind, content.checksums[kind], entries)
    return [difference.loaded for difference in differences]


async def _compare(
    connection: Connection, table: ContentTable, rows: Sequence[ContentRow], wanted: dict[str, list[ContentRow]]
) -> _Difference:
    present: dict[int, ContentRow] = {}
    for (text,) in await connection.fetch(f"SELECT to_jsonb(t)::text FROM {table.name} AS t"):  # noqa: S608 - our table
        row = json.loads(text)
        present[row["id"]] = row
    owners = {row["key"]: id_ for id_, row in present.items()}
    difference = _Difference(table, len(rows))
    for row in rows:
        old = present.pop(row["id"], None)
        if old is None:
            if row["key"] in owners:
                raise _in_the_way(table, f"'{row['key']}' has id {owners[row['key']]}; give it that id")
            difference.added.append(row)
        else:
            _insist_on_the_meaning(table, old, row)
            if old.get("retired_at") is not None or any(old[name] != value for name, value in row.items()):
                difference.changed.append(row)
    # A chapter that is gone keeps its scenes and choices: players' rows point to them.
    chapters = {row["id"] for row in wanted["story_chapters"]}
    for id_, old in present.items():
        if old.get("retired_at") is None and old.get("chapter_id", 0) in {0, *chapters}:
            difference.vanished.append(id_)
    if table.name == "achievements":
        _insist_on_free_places(table, rows, present)
    return difference


def _insist_on_the_meaning(table: ContentTable, old: ContentRow, row: ContentRow) -> None:
    if old["key"] != row["key"]:
        raise _in_the_way(table, f"id {row['id']} was '{old['key']}', is '{row['key']}' now; give new content a new id")
    for name in table.meaning:
        if old[name] != row[name]:
            raise _in_the_way(
                table,
                f"id {row['id']}, '{row['key']}', had {name} {old[name]}, has {row[name]} now; "
                "give new content a new id",
            )


def _insist_on_free_places(table: ContentTable, rows: Sequence[ContentRow], gone: dict[int, ContentRow]) -> None:
    """A tier or target that was retired is not given out again: those who reached it would be paid twice."""
    for column in ("tier", "target"):
        taken = {(old["metric"], old[column]): old for old in gone.values()}
        for row in rows:
            if old := taken.get((row["metric"], row[column])):
                raise _in_the_way(
                    table,
                    f"'{row['key']}' takes {column} {row[column]} of {row['metric']} from '{old['key']}', now gone; "
                    f"keep '{old['key']}', with id {old['id']}, instead",
                )


def _in_the_way(table: ContentTable, problem: str) -> SetupFailed:
    return SetupFailed(f"The content does not fit what the database's {table.name} hold: {problem}.")


async def _make_room(connection: Connection, difference: _Difference) -> None:
    table, moved = difference.table, [row["id"] for row in difference.changed]
    if table.aside and (moved or difference.vanished):
        await connection.execute(
            f"UPDATE {table.name} SET {table.aside} WHERE id = ANY($1::integer[])",  # noqa: S608 - our table
            moved + ([] if table.retires else difference.vanished),
        )
    if table.retires and difference.vanished:
        assignments = ", ".join(filter(None, ["retired_at = now()", table.retired]))
        await connection.execute(
            f"UPDATE {table.name} SET {assignments} WHERE id = ANY($1::integer[])",  # noqa: S608 - our table
            difference.vanished,
        )


async def _write(connection: Connection, difference: _Difference) -> None:
    rows = difference.added + difference.changed
    if not rows:
        return
    table, columns = difference.table.name, list(rows[0])
    back = ["retired_at = NULL"] if difference.table.retires else []
    assignments = ", ".join([*(f"{name} = excluded.{name}" for name in columns if name != "id"), *back])
    names = ", ".join(columns)
    await connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)"  # noqa: S608 - our tables
        f" ON CONFLICT (id) DO UPDATE SET {assignments}",
        json.dumps(rows),
    )


async def _take_away(connection: Connection, difference: _Difference) -> None:
    table = difference.table
    if table.retires or not difference.vanished:
        return
    in_use, what_to_do = _IN_USE[table.name]
    row = await connection.fetchrow(in_use, difference.vanished)
    if row is not None:
        raise _in_the_way(table, f"'{row[0]}' is gone from the files, but players ({row[1]}) {what_to_do}")
    await connection.execute(
        f"DELETE FROM {table.name} WHERE id = ANY($1::integer[])",  # noqa: S608 - our table
        difference.vanished,
    )


async def _insist_on_a_playable_story(connection: Connection) -> None:
    problem = await connection.fetchrow("SELECT key, problem FROM story_problems() ORDER BY key LIMIT 1")
    if problem is not None:
        raise SetupFailed(f"The story cannot be played to its end: '{problem[0]}': {problem[1]}.")
