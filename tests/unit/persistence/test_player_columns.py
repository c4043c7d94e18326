"""The one table from which loading and flushing take their SQL."""

import dataclasses

from hotpath.player_state import COLUMN_NAMES
from persistence.player_columns import COLUMNS, FIELDS, array_parameters, columns_from
from persistence.records import PlayerColumns


def test_every_field_is_stored_once_and_in_order() -> None:
    assert [column.field for column in COLUMNS] == [field.name for field in dataclasses.fields(PlayerColumns)]
    assert [column.field for column in COLUMNS] == list(COLUMN_NAMES)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_what_was_selected_is_put_together_again() -> None:
    values = tuple(range(len(COLUMNS)))
    assert dataclasses.astuple(columns_from(values)) == values


def test_parameters_are_numbered_and_typed() -> None:
    parameters = array_parameters(3).split(", ")
    assert len(parameters) == len(FIELDS.split(", "))
    assert parameters[0] == "$3::text::bigint[]"
    assert parameters[5] == "$8::text::smallint[]"
