"""Opening the port, or one sentence why not."""

import errno
import socket

import pytest
import trio

from gameserver.edge.listener import open_port
from gameserver.errors import OperatorError


async def test_a_taken_port_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError, match=rf"port {port} .* is taken.*GAME_PORT"):
            await open_port("127.0.0.1", port, "GAME_PORT")


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid", "not an address"])
async def test_an_address_that_is_not_ours_is_one_sentence(host: str) -> None:
    with pytest.raises(OperatorError) as raised:
        await open_port(host, 0, "GAME_PORT")
    assert host in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_port_without_the_right_to_it_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", arguments, options)

    monkeypatch.setattr(trio, "open_tcp_listeners", denied)
    with pytest.raises(OperatorError, match=r"GAME_HTTP_PORT.*1023"):
        await open_port("127.0.0.1", 80, "GAME_HTTP_PORT")


async def test_any_free_port() -> None:
    sockets = await open_port("127.0.0.1", 0, "GAME_PORT")
    try:
        assert all(each.socket.getsockname()[1] > 0 for each in sockets)
    finally:
        for each in sockets:
            await each.aclose()
