"""What peers say of themselves, cleaned before it is stored and shown."""

import pytest

from gameserver.identity.visitor import MAX_CLIENT_CHARS, MAX_DEVICE_CHARS, Visitor


def test_what_is_long_is_cut_and_what_cannot_be_printed_is_left_out() -> None:
    visitor = Visitor.of(client="a\x00b\n  c\u202e" + "x" * 500, device="\x1b[31m" + "d" * 500)
    assert visitor.client.startswith("ab cx")
    assert len(visitor.client) == MAX_CLIENT_CHARS
    assert visitor.device.startswith("[31md")
    assert len(visitor.device) == MAX_DEVICE_CHARS


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("", ""),
        ("testclient", ""),
        ("1.2.3", ""),
        ("203.0.113.7; DROP TABLE players", ""),
    ],
)
def test_an_address_is_one_or_unknown(given: str, address: str) -> None:
    assert Visitor.of(address=given).address == address
