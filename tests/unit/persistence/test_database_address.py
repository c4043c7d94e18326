"""A database's address without its secrets."""

import pytest

from persistence.database_address import address_of


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://ada:secret@db.example:5433/game", "db.example:5433/game"),
        ("postgresql://ada:secret@db.example/game", "db.example/game"),
        ("postgresql://postgres@/game?host=/run/my%20data&port=5432", "/run/my data/game"),
        ("postgresql://ada:se:cret@db:wrong/game", "db/game"),
        ("postgresql:///game", "localhost/game"),
    ],
)
def test_only_place_and_name_are_shown(dsn: str, shown: str) -> None:
    assert address_of(dsn) == shown
