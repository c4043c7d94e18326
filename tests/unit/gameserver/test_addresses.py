import pytest

from gameserver.addresses import reachable


@pytest.mark.parametrize(
    ("bound", "asked", "told"),
    [
        ("127.0.0.1", "game.example", "127.0.0.1"),
        ("0.0.0.0", "192.0.2.7", "192.0.2.7"),
        ("::", "2001:db8::7", "[2001:db8::7]"),
        ("::1", "game.example", "[::1]"),
    ],
)
def test_a_browser_is_told_a_host_it_can_reach(bound: str, asked: str, told: str) -> None:
    assert reachable(bound, asked) == told
