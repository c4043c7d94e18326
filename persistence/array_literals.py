"""Arrays as PostgreSQL's own text, for statements that take many values; players' own columns: `hotpath.player_writes`.

The driver looks at every element of an array before it encodes it, which costs more than all the rest of a flush; a
text per column is written in one go. In SQL: `$1::text::bigint[]`. What is no number is refused by PostgreSQL when it
reads the text (PostgreSQL manual, "Array Input and Output Syntax").
"""

from collections.abc import Iterable


def integers(values: Iterable[int]) -> str:
    """`{1,2,3}` for `bigint[]` and the smaller ones."""
    return f"{{{str(list(values))[1:-1]}}}"


def texts(values: Iterable[str]) -> str:
    r"""`{"a","b\"c"}` for `text[]`; quotes and backslashes are escaped."""
    escaped = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return "{" + ",".join([f'"{value}"' for value in escaped]) + "}"
