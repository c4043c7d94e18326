import pytest

from gameserver.addresses import origin_of, reachable


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


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://game.example", "https://game.example"),
        ("https://Game.Example:443/play/?x=1#y", "https://game.example"),
        ("http://game.example:80/", "http://game.example"),
        ("http://game.example:8601/", "http://game.example:8601"),
        ("https://[2001:DB8::7]:8443", "https://[2001:db8::7]:8443"),
    ],
)
def test_an_origin_is_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["", "*", "null", "game.example", "ws://game.example", "https://", "https://a:70000", "https://a@b"]
)
def test_what_is_no_address_of_a_page_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        origin_of(url)
