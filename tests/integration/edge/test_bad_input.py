"""Thousands of random and mutated frames from several sockets; another player must not notice any of it."""

import contextlib
import random

import pytest
import trio

from tests.fakes.game_client import ACTION, HELLO, PING, TAP, TAPPED, WELCOME, GameClient, connect, hello_map
from tests.fakes.loopback_game import LoopbackGame, loopback_game
from tests.fakes.other_side import ExtType, pack, unpack
from tests.fakes.raw_websocket import CLOSE, PONG, RawWebSocket, frame, upgraded

SOCKETS = 6
FRAMES = 500  #: of each socket

#: Codes a client may be closed with for what it sends; anything else would be a fault of ours.
EXPECTED_CODES = {1000, 1002, 1003, 1005, 1006, 1007, 1009, 4008, 4500, 4501, 4510}
ENOUGH_TAPS = 900  #: a player's energy
#: What an attacker closed with and got back.
ECHOED_CODES = {1008, *range(1010, 1015), *range(3000, 4000), *range(4600, 5000)}


def random_value(rng: random.Random, depth: int = 0) -> object:
    """Any value that MessagePack can hold, ext types included."""
    kind = rng.randrange(11 if depth < 4 else 8)
    match kind:
        case 0:
            return rng.choice([0, 1, -1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1])
        case 1:
            return rng.choice([None, True, False])
        case 2:
            return rng.choice([0.0, -1.5, float("inf"), float("nan"), 1e308])
        case 3:
            return rng.randbytes(rng.randrange(40))
        case 4:
            return "".join(chr(rng.choice([0, 65, 0xE9, 0x20AC, 0x1F600])) for _ in range(rng.randrange(20)))
        case 5:
            return ExtType(rng.randrange(128), rng.randbytes(rng.randrange(20)))
        case 6 | 7:
            return rng.randrange(-(2**31), 2**32)
        case 8 | 9:
            return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case _:
            return {
                rng.choice(["a", "token", "lineage", 1, None]): random_value(rng, depth + 1)
                for _ in range(rng.randrange(4))
            }


def good_frame(rng: random.Random) -> list[object]:
    """A frame that is right or nearly so."""
    seq = rng.choice([0, 1, rng.randrange(2**32), 2**32 - 2, 2**32 - 1, -1])
    return rng.choice(
        [
            [TAP, seq, rng.choice([0, 1, 50, 100, 101, -1, 2**40]), rng.choice([0, 1, 600_000, 600_001])],
            [ACTION, seq, rng.choice(["noop", "state.get", "profile.get", "no.such", ""]), rng.choice([{}, [], None])],
            [PING, rng.choice([0, 2**53, -1]), rng.choice([0, 1.5])],
            [HELLO, 0, hello_map(token="x", lineage=rng.randbytes(rng.choice([0, 15, 16, 17])))],
            [rng.randrange(256), seq],
        ]
    )


def hostile_payload(rng: random.Random) -> bytes:
    """Bytes of a binary message."""
    kind = rng.randrange(7)
    if kind == 0:
        return rng.randbytes(rng.randrange(60))
    if kind == 1:
        return pack(random_value(rng))
    if kind == 2:
        return bytes((rng.choice([0xDC, 0xDD, 0xDE, 0xDF, 0xC6, 0xDB]),)) + rng.randbytes(8)  # claims a huge length
    if kind == 3:
        return b"\x91" * rng.randrange(1, 4_000)  # arrays inside arrays
    payload = bytearray(pack(good_frame(rng)))
    for _ in range(rng.randrange(3) if kind < 6 else 0):
        at = rng.randrange(len(payload))
        match rng.randrange(3):
            case 0:
                payload[at] = rng.randrange(256)
            case 1:
                del payload[at:]
                break
            case _:
                payload[at:at] = rng.randbytes(rng.randrange(1, 6))
        if not payload:
            break
    return bytes(payload)


def hostile_frame(rng: random.Random) -> bytes:
    """Bytes on the wire: mostly frames in order around payloads that are not, at times no frames at all."""
    dice = rng.randrange(100)
    if dice == 0:
        return rng.randbytes(rng.randrange(1, 200))
    if dice == 1:
        return frame(rng.randrange(16), hostile_payload(rng), fin=rng.random() < 0.5, rsv=rng.randrange(8))
    if dice == 2:
        return frame(1, rng.choice([b"hello", b"\xff"]))
    if dice == 3:
        return frame(2, bytes(rng.randrange(4_000, 9_000)))
    if dice == 4:
        return frame(2, hostile_payload(rng), masked=False)
    if dice == 5:
        return frame(8, rng.randbytes(rng.choice([0, 1, 2, 30])))
    if dice < 12:
        return frame(rng.choice([9, 10]), rng.randbytes(rng.randrange(126)))
    if dice < 20:
        payload = hostile_payload(rng)
        cut = rng.randrange(len(payload) + 1)
        return frame(2, payload[:cut], fin=False) + frame(0, payload[cut:])
    return frame(2, hostile_payload(rng))


class Attacker:
    """Sends hostile frames, each followed by a ping so that it is known to have been read; comes back when closed."""

    def __init__(self, game: LoopbackGame, seed: int) -> None:
        self.codes: list[int] = []
        self.sent = 0
        self._game = game
        self._rng = random.Random(seed)
        self._token = game.token()
        self._read = trio.Event()
        self._ended = False

    async def run(self) -> None:
        while self.sent < FRAMES:
            stream = await trio.open_tcp_stream("127.0.0.1", self._game.port)
            raw = await upgraded(stream)
            if self._rng.random() < 0.8:
                lineage = self._rng.randbytes(16)
                await raw.send(frame(2, pack([HELLO, 0, hello_map(token=self._token, lineage=lineage)])))
                answer = await raw.frame()
                assert answer is not None
                assert unpack(answer[1])[0] == WELCOME
            self._ended = False
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, raw)
                while not self._ended and self.sent < FRAMES:
                    self.sent += 1
                    self._read = trio.Event()
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        await raw.send(hostile_frame(self._rng) + frame(9, self._mark()))
                        with trio.move_on_after(0.1):  # bytes that are no frame may have swallowed the ping
                            await self._read.wait()
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(stream)

    def _mark(self) -> bytes:
        return f"frame {self.sent} was read".encode()

    async def _listen(self, raw: RawWebSocket) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while (one := await raw.frame()) is not None:
                opcode, payload = one
                if opcode == PONG and payload == self._mark():
                    self._read.set()
                if opcode == CLOSE:
                    self.codes.append(int.from_bytes(payload[:2], "big") if payload else 1005)
                    break
        self._ended = True
        self._read.set()


async def play_on(client: GameClient, stop: trio.Event, game: LoopbackGame) -> int:
    """Tap until told to stop: each tap is answered, with the right state and nothing else."""
    taps = 0
    while not stop.is_set() and taps < ENOUGH_TAPS:
        game.clock.advance(67)  # a little more than the 15 a second that the bucket gives back
        answer = await client.tap()
        taps += 1
        assert answer[:3] == [TAPPED, taps, 1]
        assert answer[4] == taps, "XP is the number of taps"
        assert answer[-1] == 0, "nothing was flushed"
    await stop.wait()
    return taps


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_another_player_never_notices(seed: int) -> None:
    async with loopback_game() as game, connect(game.port) as victim:
        row = game.database.add()
        await victim.hello(game.token(row.public_id))
        stop = trio.Event()
        attackers = [Attacker(game, seed * 1_000 + number) for number in range(SOCKETS)]
        taps: list[int] = []
        async with trio.open_nursery() as nursery:

            async def attack() -> None:
                async with trio.open_nursery() as attacks:
                    for attacker in attackers:
                        attacks.start_soon(attacker.run)
                stop.set()

            async def play() -> None:
                taps.append(await play_on(victim, stop, game))

            nursery.start_soon(play)
            nursery.start_soon(attack)
        assert sum(attacker.sent for attacker in attackers) == SOCKETS * FRAMES
        codes = {code for attacker in attackers for code in attacker.codes}
        assert taps[0] > 100
        assert {code for code in codes if code not in ECHOED_CODES} <= EXPECTED_CODES
        assert {1002, 1003, 1007, 1009, 4500} <= codes, "the attack was not hostile enough"
        statistics = game.listener.statistics()
        assert statistics.crashes_total == 0
        assert game.players.statistics().turn_failures_total == 0
        assert game.counters.malformed_total > 100
        assert statistics.frames_total > taps[0] + SOCKETS * FRAMES // 2
        assert victim.socket.closed is None
