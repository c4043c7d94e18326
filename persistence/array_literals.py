"""Arrays as PostgreSQL's own text, for statements that take thousands of values.

The driver looks at every element of an array before it encodes it, which was most of the cost of a flush; a text per
column is written in one go. In SQL: `$1::text::bigint[]`. What is no number is refused by PostgreSQL when it reads the
text (PostgreSQL manual, "Array Input and Output Syntax").
"""

from collections.abc import Iterable


def integers(values: Iterable[int]) -> str:
    """`{1,2,3}` for `bigint[]` and the smaller ones."""
    return f"{{{str(list(values))[1:-1]}}}"


def byte_strings(values: Iterable[bytes]) -> str:
    r"""`{"\\x00ff","\\x01"}` for `bytea[]`; the backslash is doubled because it escapes inside an array's quotes."""
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"
