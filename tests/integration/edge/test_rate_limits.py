"""Too often, over real sockets: who is told to wait, for how long, and who does not notice."""

import pytest

from gameserver.errors import ErrorCode, Unauthenticated
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.table import Limit, LimitClass, Scope
from tests.fakes.game_client import ACTION, ERROR, GOODBYE, PING, PONG, RESULT, GameClient, connect, hello_map
from tests.fakes.loopback_game import LoopbackGame, loopback_game


async def act(client: GameClient) -> tuple[int, int]:
    """(op, wait in ms) of the answer to one more action, which is sent again after an error."""
    seq = client.seq + 1
    await client.send(ACTION, seq, "state.get", {})
    answer = await client.receive()
    if answer[0] == RESULT:
        client.seq = seq
        return RESULT, 0
    assert answer[:4] == [ERROR, seq, ErrorCode.RATE_LIMITED, "rate_limited"]
    return ERROR, answer[5]


async def until_refused(client: GameClient, count: int) -> int:
    """`count` actions go through, then one is told to wait; returns for how many ms."""
    assert [await act(client) for _ in range(count)] == [(RESULT, 0)] * count
    op, wait_ms = await act(client)
    assert op == ERROR
    return wait_ms


async def waits_exactly(game: LoopbackGame, client: GameClient, wait_ms: int) -> None:
    """An operation is refused until `wait_ms` have passed, and not longer."""
    assert wait_ms <= 10_000
    game.clock.advance(wait_ms - 1)
    assert await act(client) == (ERROR, 1)
    game.clock.advance(1)
    assert await act(client) == (RESULT, 0)


async def test_a_session_over_its_limit() -> None:
    table = (Limit(Scope.SESSION, LimitClass.READ, 3, 10, ""),)
    async with loopback_game(table=table) as game, connect(game.port) as first, connect(game.port) as second:
        token = game.token()
        await first.hello(token)
        await second.hello(token)
        wait_ms = await until_refused(first, 3)
        assert [await act(second) for _ in range(3)] == [(RESULT, 0)] * 3
        await waits_exactly(game, first, wait_ms)


async def test_a_player_over_the_limit_of_all_sockets() -> None:
    table = (Limit(Scope.PLAYER, LimitClass.READ, 3, 10, ""),)
    async with loopback_game(table=table) as game, connect(game.port) as first, connect(game.port) as second:
        token = game.token()
        await first.hello(token)
        await second.hello(token)
        assert await act(second) == (RESULT, 0)
        wait_ms = await until_refused(first, 2)
        assert await act(second) == (ERROR, wait_ms)
        async with connect(game.port) as other:
            await other.hello(game.token())
            assert await act(other) == (RESULT, 0)
            assert (await other.tap())[2] == 1
        await waits_exactly(game, first, wait_ms)


async def test_an_address_over_its_limit() -> None:
    table = (Limit(Scope.ADDRESS, LimitClass.READ, 3, 10, ""),)
    async with loopback_game(table=table) as game, connect(game.port) as first, connect(game.port) as second:
        await first.hello(game.token())
        await second.hello(game.token())
        assert await act(second) == (RESULT, 0)
        wait_ms = await until_refused(first, 2)
        async with connect(game.port, source="127.0.0.2") as elsewhere:
            await elsewhere.hello(game.token())
            assert [await act(elsewhere) for _ in range(3)] == [(RESULT, 0)] * 3
        await waits_exactly(game, second, wait_ms)


async def test_pings_and_floods() -> None:
    table = (Limit(Scope.SESSION, LimitClass.PING, 2, 10, ""), Limit(Scope.SESSION, LimitClass.FRAME, 5, 60, ""))
    async with loopback_game(table=table) as game, connect(game.port) as client:
        await client.hello(game.token())
        for number in range(6):
            await client.tap()
            await client.send(PING, number, 0)
            answer = await client.receive()
            if number < 2:
                assert answer[0] == PONG
            elif number < 5:
                assert answer[:3] == [ERROR, 0, ErrorCode.RATE_LIMITED]
            else:
                assert answer[:2] == [GOODBYE, 4029]
                assert 10_000 < answer[3] <= 60_000
        assert await client.end() == ([], 4029)


async def test_hello_over_a_limit_is_sent_away_with_a_time_to_come_back() -> None:
    table = (Limit(Scope.ADDRESS, LimitClass.HELLO, 1, 60, ""),)
    async with loopback_game(table=table) as game:
        async with connect(game.port) as first:
            await first.hello(game.token())
            async with connect(game.port) as second:
                await second.send(1, 0, hello_map(token=game.token()))
                goodbye = await second.expect(GOODBYE)
                assert goodbye[1] == 4029
                assert 1_000 < goodbye[3] <= 61_000
                assert await second.end() == ([], 4029)
            assert (await first.tap())[2] == 1
            async with connect(game.port, source="127.0.0.2") as elsewhere:
                await elsewhere.hello(game.token())
        game.clock.advance(goodbye[3])
        async with connect(game.port) as again:
            await again.hello(game.token())


async def test_guesses_are_counted_over_all_ways_in() -> None:
    table = (Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 2, 600, ""),)
    async with loopback_game(table=table) as game:
        with pytest.raises(Unauthenticated):  # as over HTTP
            await game.accounts.refresh("guessed", Visitor.of(address="127.0.0.1"))
        for code in (4501, 4029):
            async with connect(game.port) as guesser:
                await guesser.send(1, 0, hello_map(token="guessed"))
                assert (await guesser.end())[1] == code
        async with connect(game.port) as good:
            await good.send(1, 0, hello_map(token=game.token()))
            assert (await good.end())[1] == 4029
        async with connect(game.port, source="127.0.0.2") as elsewhere:
            await elsewhere.hello(game.token())
