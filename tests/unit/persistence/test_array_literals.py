"""Arrays as PostgreSQL's own text."""

import pytest

from persistence.array_literals import integers, texts


@pytest.mark.parametrize(
    ("values", "text"), [([], "{}"), ([7], "{7}"), ((1, -2, 2**62), "{1, -2, 4611686018427387904}")]
)
def test_integers(values: list[int], text: str) -> None:
    assert integers(values) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [([], "{}"), ([""], '{""}'), (["taps:1:2:3", 'a"b', "c\\d,}"], r'{"taps:1:2:3","a\"b","c\\d,}"}')],
)
def test_texts(values: list[str], text: str) -> None:
    assert texts(values) == text
