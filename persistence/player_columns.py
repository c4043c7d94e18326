"""How `PlayerColumns` is stored: one table from which loading and flushing both take their SQL.

The border counts time in milliseconds and days (`persistence.records`), the table has `timestamptz` and `date`; the SQL
converts, so that no date object is ever made on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from persistence.records import PlayerColumns


@dataclass(frozen=True, slots=True)
class _Column:
    field: str  #: in `PlayerColumns`
    sql_type: str  #: as it crosses the border
    name: str  #: in the table `players`
    read: str  #: SQL from the stored column to the border; {} is the column
    write: str  #: SQL from the border to the stored column; {} is the value


def _integer(name: str, sql_type: str = "bigint") -> _Column:
    return _Column(name, sql_type, name, "{}", "{}")


def _time(field: str) -> _Column:
    return _Column(field, "bigint", field.removesuffix("_ms"), "ms_from_time({})", "time_from_ms({})")


def _day(field: str) -> _Column:
    return _Column(field, "integer", field, "({} - date 'epoch')", "(date 'epoch' + {})")


#: in the order of the fields of `PlayerColumns` and of `hotpath.player_state.COLUMN_NAMES`
COLUMNS: tuple[_Column, ...] = (
    _integer("balance_mpt"),
    _integer("unposted_mpt"),
    _integer("lifetime_mpt"),
    _integer("xp"),
    _integer("taps"),
    _integer("tap_level", "smallint"),
    _integer("energy_cap_level", "smallint"),
    _integer("energy_regen_level", "smallint"),
    _integer("offline_level", "smallint"),
    _integer("energy_ue"),
    _time("energy_at_ms"),
    _integer("bucket_mt"),
    _time("bucket_at_ms"),
    _integer("combo"),
    _time("last_tap_at_ms"),
    _integer("tap_carry"),
    _day("raw_day"),
    _integer("raw_today_mpt"),
    _integer("streak_days", "integer"),
    _time("double_until_ms"),
    _Column("last_seen_ms", "bigint", "last_seen_at", "ms_from_time({})", "time_from_ms({})"),
)

#: `p.balance_mpt, …, ms_from_time(p.energy_at), …` in the order of `PlayerColumns`, of `players AS p`
SELECT_LIST = ", ".join(column.read.format(f"p.{column.name}") for column in COLUMNS)

#: `balance_mpt = w.balance_mpt, …` of `players` from a row `w` of the border's names
ASSIGNMENTS = ", ".join(f"{column.name} = {column.write.format(f'w.{column.field}')}" for column in COLUMNS)

#: the border's names, as column names of `w`
FIELDS = ", ".join(column.field for column in COLUMNS)


def array_parameters(first: int) -> str:
    """`$4::text::bigint[], $5::text::bigint[], …`: one array per column, numbered from `first`."""
    return ", ".join(f"${number}::text::{column.sql_type}[]" for number, column in enumerate(COLUMNS, start=first))


def columns_from(values: Sequence[int]) -> PlayerColumns:
    """What `SELECT_LIST` selected."""
    return PlayerColumns(*values)
