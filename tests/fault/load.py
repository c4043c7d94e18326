"""What the clients of a torture run do: taps that all fit into bucket and energy, and actions of every kind."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import trio

from gameserver.wire.catalogue import ACTIONS
from tests.fault.client_model import ClientModel
from tests.fault.history import HARD_ACTIONS, History

CLIENTS_PER_PLAYER = 2
CLIENTS_PER_PLAYER_FIGHTING = 3
PAUSE_S = (0.2, 1.2)  #: between two bursts of operations of a client
BURSTS = (1, 1, 1, 5)  #: operations in one; they are on the wire together
TAPS = (1, 2)  #: in a TAP: all clients of a player together stay well below 15 taps a second
TAPS_WAITING = 10  #: of a client: those of a player together are below the burst of 40
ACTION_SHARE = 0.3
ACTIONS_WAITING = 8
SOFT_ACTIONS = ("noop", "state.get", "profile.get")
TRANSFER_MPT = (1_000, 20_000)  #: so little that the day's limit is out of reach


class Crowd:
    """All clients of a run; whoever dies is replaced by one with a queue of its own.

    Args:
        history: where everything is recorded.
        players: (public id, access token).
        fighting: servers fight for the players during the whole run: more clients, so that moves rarely bring all of a
            player's to one server; and taps wait until they are durable, for a server that loses its fight has all
            that are not sent again at once.
        urls: of the nodes.
        seed: of the run.
        nursery: where clients run.
        on_welcome: as `ClientModel` says.
        on_durable: the same.
    """

    def __init__(
        self,
        history: History,
        players: Sequence[tuple[str, str]],
        fighting: bool,
        urls: Sequence[str],
        seed: int,
        nursery: trio.Nursery,
        on_welcome: Callable[[str], None],
        on_durable: Callable[[], None],
    ) -> None:
        self.finishing = False  #: nothing new is begun
        self.clients: list[ClientModel] = []
        self._history = history
        self._players = players
        self._fighting = fighting
        self._urls = urls
        self._seed = seed
        self._nursery = nursery
        self._on_welcome = on_welcome
        self._on_durable = on_durable
        self._born = 0
        self._hard = sorted(HARD_ACTIONS & ACTIONS.keys())

    @property
    def living(self) -> list[ClientModel]:
        """Those that neither died nor were sent away."""
        return [client for client in self.clients if client.history.lives and not client.stopped]

    def start(self) -> None:
        """All of them."""
        for player in self._players:
            for _ in range(CLIENTS_PER_PLAYER_FIGHTING if self._fighting else CLIENTS_PER_PLAYER):
                self._nursery.start_soon(self._keep_one, player)

    async def _keep_one(self, player: tuple[str, str]) -> None:
        while not self.finishing:
            self._born += 1
            name = f"c{self._born}"
            rng = random.Random(f"{self._seed} {name}")
            client = ClientModel(
                self._history.new_lineage(name, player[0], os.urandom(16)),
                token=player[1],
                url=rng.choice(self._urls),
                rng=rng,
                on_welcome=self._on_welcome,
                on_durable=self._on_durable,
            )
            self.clients.append(client)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._play, client, rng)
                await client.run()
                nursery.cancel_scope.cancel()

    async def _play(self, client: ClientModel, rng: random.Random) -> None:
        while not self.finishing:
            await trio.sleep(rng.uniform(*PAUSE_S))
            for _ in range(rng.choice(BURSTS)):
                self._operate(client, rng)

    def _operate(self, client: ClientModel, rng: random.Random) -> None:
        if rng.random() >= ACTION_SHARE:
            waiting = client.queue.undurable_taps if self._fighting else client.queue.unanswered_taps
            if waiting < TAPS_WAITING:
                client.tap(rng.randint(*TAPS))
        elif client.queue.unanswered_actions < ACTIONS_WAITING:
            client.act(*self._draw_action(client, rng))

    def _draw_action(self, client: ClientModel, rng: random.Random) -> tuple[str, dict[str, Any]]:
        if not self._hard or rng.random() < 0.3:
            return rng.choice(SOFT_ACTIONS), {}
        name = rng.choice(self._hard)
        if name == "upgrade.buy":
            return name, {"kind": rng.choice(["tap_level", "energy_cap", "energy_regen", "offline"])}
        if name == "boost.use":
            return name, {"kind": rng.choice(["double", "full_energy"])}
        others = [public_id for public_id, _ in self._players if public_id != client.history.player]
        return name, {"to": rng.choice(others), "amount_mpt": rng.randint(*TRANSFER_MPT)}

    def unsettled(self) -> Iterator[ClientModel]:
        """Those that have not got everything answered and durable, or are not online."""
        return (client for client in self.living if not client.done or not client.served_by)
