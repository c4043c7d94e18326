"""Arrays as PostgreSQL's own text."""

import pytest

from persistence.array_literals import byte_strings, integers


@pytest.mark.parametrize(
    ("values", "text"), [([], "{}"), ([7], "{7}"), ((1, -2, 2**62), "{1, -2, 4611686018427387904}")]
)
def test_integers(values: list[int], text: str) -> None:
    assert integers(values) == text


@pytest.mark.parametrize(
    ("values", "text"), [([], "{}"), ([b""], r'{"\\x"}'), ([b"\0\xff", b"a"], r'{"\\x00ff","\\x61"}')]
)
def test_byte_strings(values: list[bytes], text: str) -> None:
    assert byte_strings(values) == text
