"""The one table from which loading and flushing take their SQL."""

import dataclasses

from persistence.player_columns import COLUMNS, FIELDS, array_parameters, column_arrays, columns_from
from persistence.records import PlayerColumns, PlayerWrites
from tests.fakes.flushable_player import COLUMNS as NEW_PLAYER


def test_every_field_is_stored_once_and_in_order() -> None:
    assert [column.field for column in COLUMNS] == [field.name for field in dataclasses.fields(PlayerColumns)]
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_what_is_taken_apart_column_by_column_is_put_together_again() -> None:
    players = [dataclasses.replace(NEW_PLAYER, xp=number, combo=10 * number) for number in range(3)]
    arrays = column_arrays([PlayerWrites(number, 1, columns, 0, 0) for number, columns in enumerate(players)])
    columns = [[int(value) for value in array.strip("{}").split(",")] for array in arrays]
    assert [columns_from(values) for values in zip(*columns, strict=True)] == players


def test_parameters_are_numbered_and_typed() -> None:
    parameters = array_parameters(3).split(", ")
    assert len(parameters) == len(FIELDS.split(", "))
    assert parameters[0] == "$3::text::bigint[]"
    assert parameters[5] == "$8::text::smallint[]"
