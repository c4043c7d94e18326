"""What the schema consists of, object by object, so that a change by hand is found and named.

Every object that a revision can make is listed from the system catalogs with a hash of its definition; the fingerprint
is the SHA-256 over the sorted list. The runner keeps both beside the revision that it has just applied, in the same
transaction, and whoever asks later lists again and compares.

Left out is what may differ without anybody having changed the schema: partitions that have bounds, which appear and go
by the month, with all that they inherit (the default partition is part of the schema); what belongs to an extension;
the runner's own table; and comments, owners, privileges, statistics objects and storage parameters of tables, which an
operator may set as he likes.

Definitions are PostgreSQL's own words (`pg_get_constraintdef` and its kin), which may change with its major version. So
the version is kept too, and a list made by another one is not compared: `up` makes it anew. The words also depend on
settings of the connection, which `read_objects` therefore sets; and what was dumped and restored has other brackets
(`a AND (b AND c)` comes back as `a AND b AND c`), which are left out, with the spaces.
"""

import hashlib
from collections.abc import Mapping

from persistence.postgres import Connection

_NO_MATTER = dict.fromkeys(map(ord, "() \n\t"))
_SETTINGS = """
    SET LOCAL search_path TO public;
    SET LOCAL "TimeZone" TO 'UTC';
    SET LOCAL "DateStyle" TO 'ISO, MDY';
    SET LOCAL "IntervalStyle" TO 'postgres';
    SET LOCAL extra_float_digits TO 1;
    SET LOCAL quote_all_identifiers TO off
"""

# Constraints, indexes and triggers that a partition has from its parent have one themselves: the parent's says it all.
# NOT NULL is a column's; only since 18 is it also a row of pg_constraint.
_OBJECTS = """
WITH extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.* FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'schema_migrations'
        AND NOT (c.relispartition AND c.relkind IN ('r', 'p', 'f') AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT')
        AND NOT EXISTS (SELECT FROM extended AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), kind AS (
    SELECT t.* FROM pg_type AS t
    WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e', 'r')
        AND NOT EXISTS (SELECT FROM extended AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
), object (name, definition) AS (
    SELECT 'table ' || relname, concat_ws(
        ' ', relkind, relpersistence, relrowsecurity, pg_get_partkeydef(oid),
        (SELECT i.inhparent::regclass FROM pg_inherits AS i WHERE i.inhrelid = relation.oid)
    ) FROM relation WHERE relkind IN ('r', 'p', 'f', 'c')
UNION ALL
    SELECT format('column %s.%s', r.relname, a.attname), concat_ws(
        ' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
        nullif(a.attcollation, t.typcollation)::regcollation, pg_get_expr(d.adbin, d.adrelid)
    )
    FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
    SELECT format('constraint %s of %s', c.conname, coalesce(r.relname, k.typname)), pg_get_constraintdef(c.oid)
    FROM pg_constraint AS c LEFT JOIN relation AS r ON r.oid = c.conrelid LEFT JOIN kind AS k ON k.oid = c.contypid
    WHERE c.conparentid = 0 AND c.contype <> 'n' AND (r.oid IS NOT NULL OR k.oid IS NOT NULL)
UNION ALL
    SELECT format('index %s of %s', x.relname, r.relname), concat(pg_get_indexdef(i.indexrelid), ' ', i.indisvalid)
    FROM relation AS r JOIN pg_index AS i ON i.indrelid = r.oid JOIN pg_class AS x ON x.oid = i.indexrelid
    WHERE NOT x.relispartition
UNION ALL
    SELECT format('trigger %s of %s', t.tgname, r.relname), concat(pg_get_triggerdef(t.oid), ' ', t.tgenabled)
    FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid
    WHERE NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
    SELECT format('rule %s of %s', w.rulename, r.relname), pg_get_ruledef(w.oid)
    FROM relation AS r JOIN pg_rewrite AS w ON w.ev_class = r.oid
    WHERE w.rulename <> '_RETURN'
UNION ALL
    SELECT 'view ' || relname, concat(relkind, ' ', pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
UNION ALL
    SELECT 'sequence ' || r.relname, concat_ws(
        ' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle
    )
    FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
UNION ALL
    SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid)
    FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
        AND NOT EXISTS (SELECT FROM extended AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
        -- a range type brings its constructors along
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
            AND d.deptype = 'i')
UNION ALL
    SELECT 'enum ' || k.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
    FROM kind AS k JOIN pg_enum AS e ON e.enumtypid = k.oid GROUP BY k.typname
UNION ALL
    SELECT 'domain ' || typname, concat_ws(' ', format_type(typbasetype, typtypmod), typnotnull, typdefault)
    FROM kind WHERE typtype = 'd'
UNION ALL
    SELECT 'range ' || k.typname, format_type(g.rngsubtype, NULL)
    FROM kind AS k JOIN pg_range AS g ON g.rngtypid = k.oid
)
SELECT name, coalesce(definition, '') FROM object
"""


async def read_objects(connection: Connection) -> dict[str, str]:
    """Asyncio-flavoured, in a transaction, whose settings it changes: each object's name and a hash of its definition.

    The names are for people: `index players_generation_idx of players`.
    """
    await connection.execute(_SETTINGS)
    return {
        name: hashlib.sha256(definition.translate(_NO_MATTER).encode()).hexdigest()[:16]
        for name, definition in await connection.fetch(_OBJECTS)
    }


def fingerprint_of(objects: Mapping[str, str]) -> str:
    """SHA-256 over the sorted list, in hex."""
    lines = "".join(f"{name}\t{definition}\n" for name, definition in sorted(objects.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What became of each object that is not as expected, in words, sorted.

    A table that is missing or new is said once, without all that belongs to it.
    """
    said = []
    whole = {name.partition(" ")[2] for name in expected.keys() ^ found.keys() if name.startswith("table ")}
    for name in sorted(expected.keys() | found.keys()):
        if not name.startswith("table ") and _table_of(name) in whole:
            continue
        if name not in found:
            said.append(f"{name} is missing")
        elif name not in expected:
            said.append(f"{name} is new")
        elif expected[name] != found[name]:
            said.append(f"{name} is different")
    return said


def _table_of(name: str) -> str:
    """`players` for `column players.xp` and `index players_generation_idx of players`; else empty."""
    if name.startswith("column "):
        return name.removeprefix("column ").partition(".")[0]
    return name.rpartition(" of ")[2] if " of " in name else ""
