"""Rows for the tables of a schema that is not known beforehand, so that revisions can be tried on data.

Rows are guessed column by column from what the catalogs say, many for each table; those that every constraint agrees
with stay. Where none is, the table stays empty.
"""

import random
from collections.abc import Iterable
from typing import Any

from persistence.postgres import Connection, Database

ROWS = 3  #: aimed at, per table
GUESSES = 80  #: per table and round
ROUNDS = 3  #: tables that refer to others come after them

_COLUMNS = """
    SELECT a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL), a.attnotnull,
        a.atthasdef OR a.attidentity <> '', a.attidentity = 'a' OR a.attgenerated <> '',
        ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
        (SELECT format('(SELECT %I FROM %s ORDER BY random() LIMIT 1)', r.attname, c.confrelid::regclass)
         FROM pg_constraint AS c
         JOIN pg_attribute AS r ON r.attrelid = c.confrelid AND r.attnum = c.confkey[array_position(c.conkey, a.attnum)]
         WHERE c.conrelid = a.attrelid AND c.contype = 'f' AND a.attnum = ANY (c.conkey) LIMIT 1)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
_NUMBERS = ("1", "0", "2", "7", "30", "100", "5000")
_GUESSES = {
    "boolean": ("true", "false"),
    "bytea": ("sha256(random()::text::bytea)", "substr(sha256(random()::text::bytea), 1, 16)"),
    "date": ("'2026-01-05'", "current_date", "'2026-01-01'"),  # a Monday, a day, the first of a month
    "inet": ("'192.0.2.1'",),
    "interval": ("'1 hour'",),
    "jsonb": ("'{}'", "'[]'"),
    "text": ("'k' || floor(random() * 1000)::text", "'a name with {target}'", "'en'", "'https://example.org/'"),
    "timestamp with time zone": ("now()", "now() + '1 hour'", "date_trunc('hour', now())", "'2026-01-05'"),
    "uuid": ("gen_random_uuid()",),
}


# In the server: a guess costs a savepoint and an error there, and a round trip each from here.
_TRY = """
CREATE OR REPLACE FUNCTION pg_temp.insert_some(guesses text[], missing bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    guess text;
BEGIN
    FOREACH guess IN ARRAY guesses LOOP
        EXIT WHEN missing <= 0;
        BEGIN
            EXECUTE guess;
            SET CONSTRAINTS ALL IMMEDIATE;
            SET CONSTRAINTS ALL DEFERRED;
            missing := missing - 1;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$
"""


async def fill(database: Database, tables: Iterable[str]) -> None:
    """Insert some rows into each of these tables, as far as guesses go."""
    await database.transaction(_fill, list(tables))


async def _fill(connection: Connection, tables: list[str]) -> None:
    generator = random.Random(1)
    await connection.execute(_TRY)
    columns = {table: await connection.fetch(_COLUMNS, table) for table in tables}
    for _ in range(ROUNDS):
        for table in tables:
            guesses = [_guess(table, columns[table], generator) for _ in range(GUESSES)]
            missing = f'$2 - (SELECT count(*) FROM "{table}")'
            await connection.execute(f"SELECT pg_temp.insert_some($1::text[], {missing})", guesses, ROWS)


def _guess(table: str, columns: Iterable[Any], generator: random.Random) -> str:
    values = {}
    for name, kind, required, has_default, is_generated, labels, reference in columns:
        if is_generated or ((has_default or not required) and generator.random() < 0.5):
            continue
        guesses = [f"'{label}'" for label in labels] or _GUESSES.get(kind, ("'{}'",) if kind[-1] == "]" else _NUMBERS)
        values[name] = reference or generator.choice(guesses)
    names, expressions = ", ".join(f'"{name}"' for name in values), ", ".join(values.values())
    return f'INSERT INTO "{table}" ({names}) VALUES ({expressions})'
