"""Carries a schedule of faults out, and takes back what of it lasts."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import trio

from tests.fakes.postgres_proxy import COMMIT, Hold
from tests.fakes.postgres_proxy import Fault as ProxyFault
from tests.fault.client_model import ClientModel
from tests.fault.faults import Fault, Kind
from tests.fault.game_node import GameNode
from tests.fault.history import History
from tests.fault.launched_server import OFFSET
from tests.fault.lease_checks import OFF, ON
from tests.fault.own_postgres import OwnPostgres
from tests.fault.report import Recoveries

#: How every statement that moves cursors begins its array of lineages: also a flush that is one statement.
CURSORS = b'{"\\\\x'
FORWARD_MS = 20 * 60_000
BACK_MS = 1_500  #: a clock that is set back stands still that long, and taps fill no bucket meanwhile
DEATHS_SHARE = 0.1  #: of what is hit otherwise: queues that die prove less than queues that live
HOLD_S = 10.0  #: for a flush to come by


class Injector:
    """Does to a run what its schedule says.

    Args:
        nodes: its servers.
        postgres: its database.
        clients: those that live just now.
        clock: the file with what the servers' clocks are off by.
        lease_checks: the file that says whether they check leases.
        history: told of every fight.
        recoveries: told of every kill.
    """

    def __init__(
        self,
        nodes: Sequence[GameNode],
        postgres: OwnPostgres,
        clients: Callable[[], Sequence[ClientModel]],
        clock: Path,
        lease_checks: Path,
        history: History,
        recoveries: Recoveries,
    ) -> None:
        self.injected: Counter[Kind] = Counter()
        self.skipped: Counter[Kind] = Counter()
        self._nodes = nodes
        self._postgres = postgres
        self._clients = clients
        self._clock = clock
        self._lease_checks = lease_checks
        self._history = history
        self._fights = 0  #: under way
        self._recoveries = recoveries

    async def run(self, faults: Sequence[Fault]) -> None:
        """Inject each at its time; returns when the last has passed, with everything as it should be again."""
        began_s = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                for fault in faults:
                    await trio.sleep_until(began_s + fault.at_s)
                    nursery.start_soon(self._inject, fault)
        finally:
            self.heal()

    def heal(self) -> None:
        """Take everything back that lasts."""
        _write_over(self._lease_checks, ON)
        for node in self._nodes:
            node.wake()
            node.proxy.delay_s = 0.0
            node.proxy.stalled.set()
            for fault in node.proxy.faults:
                if isinstance(fault, Hold):
                    fault.released.set()
            node.proxy.faults.clear()

    async def _inject(self, fault: Fault) -> None:
        if await self._done(fault):
            self.injected[fault.kind] += 1
        else:
            self.skipped[fault.kind] += 1

    async def _done(self, fault: Fault) -> bool:
        """Whether there was somebody to hit."""
        node = self._nodes[fault.node]
        match fault.kind:
            case Kind.KILL_SERVER:
                return self._kill(node)
            case Kind.KILL_TOGETHER:
                return self._kill_together(node, fault)
            case Kind.KILL_POSTGRES:
                self._recoveries.killed("", trio.current_time())
                await self._postgres.kill()
                self._recoveries.postgres_runs()
            case Kind.CLOCK_JUMP:
                self._jump(random.Random(fault.draw).randint(-BACK_MS, -1 if fault.flip else FORWARD_MS))
            case Kind.DISK_FULL:
                if self._postgres.disk is None:
                    return False
                await self._postgres.fill_disk(fault.lasts_s)
            case Kind.FREEZE_SERVER:
                return await self._freeze(node, fault.lasts_s)
            case Kind.FREEZE_AT_FLUSH:
                return await self._freeze_at_flush(node, fault.lasts_s)
            case Kind.FIGHT:
                await self._fight(fault.lasts_s)
            case (
                Kind.CUT_DATABASE
                | Kind.CUT_AT_COMMIT
                | Kind.STALL_DATABASE
                | Kind.SLOW_DATABASE
                | Kind.HALF_CLOSE_DATABASE
            ):
                return await self._disturb(node, fault)
            case _:
                return await self._hit_clients(fault)
        return True

    def _kill(self, node: GameNode) -> bool:
        if node.kill():
            self._recoveries.killed(node.url, trio.current_time())
            return True
        return False

    def _kill_together(self, node: GameNode, fault: Fault) -> bool:
        """In one breath: nothing runs in between."""
        hit = [client for client in self._hit(fault) if client.served_by == node.url]
        if not hit or not self._kill(node):
            return False
        for client in hit:
            client.die(with_server=True)
        return True

    def _jump(self, delta_ms: int) -> None:
        [offset_ms] = OFFSET.unpack(self._clock.read_bytes())
        _write_over(self._clock, OFFSET.pack(offset_ms + delta_ms))

    async def _freeze(self, node: GameNode, lasts_s: float) -> bool:
        if not node.freeze():
            return False
        try:
            await trio.sleep(lasts_s)
        finally:
            node.wake()
        return True

    async def _freeze_at_flush(self, node: GameNode, lasts_s: float) -> bool:
        """Stop it while its flush is on the wire; others take its players; then both flush and server go on."""
        hold = Hold()
        node.proxy.commits = CURSORS
        node.proxy.faults.insert(0, hold)
        try:
            with trio.move_on_after(HOLD_S):
                await hold.reached.wait()
            if not hold.reached.is_set():
                return False
            for client in self._clients():
                if client.served_by == node.url and not self._fights:  # else others take them without that
                    client.move(next(other.url for other in self._nodes if other is not node))
            return await self._freeze(node, lasts_s)
        finally:
            hold.released.set()
            if hold in node.proxy.faults:
                node.proxy.faults.remove(hold)

    async def _fight(self, lasts_s: float) -> None:
        """Nobody checks leases, and the clients of each player are dealt to all nodes: every claim is a theft."""
        began_s = trio.current_time()
        self._fights += 1
        _write_over(self._lease_checks, OFF)
        urls: dict[str, Iterator[str]] = {}
        for client in self._clients():
            client.move(next(urls.setdefault(client.history.player, itertools.cycle(node.url for node in self._nodes))))
        try:
            await trio.sleep(lasts_s)
        finally:
            self._fights -= 1
            if not self._fights:
                _write_over(self._lease_checks, ON)
            self._history.fights_s.append((began_s, trio.current_time()))

    async def _disturb(self, node: GameNode, fault: Fault) -> bool:
        proxy = node.proxy
        match fault.kind:
            case Kind.CUT_DATABASE:
                proxy.cut_all()
            case Kind.CUT_AT_COMMIT:
                if proxy.faults:  # the last one still waits for a commit: they would gather while the server is down
                    return False
                rng = random.Random(fault.draw)
                proxy.commits = rng.choice([COMMIT, CURSORS])
                proxy.faults.append(ProxyFault.CUT_BEFORE if fault.flip else ProxyFault.CUT_AFTER)
            case Kind.HALF_CLOSE_DATABASE:
                proxy.half_close_all(towards_server=fault.flip)
            case Kind.SLOW_DATABASE:
                proxy.delay_s = fault.lasts_s / 10
                await trio.sleep(fault.lasts_s)
                proxy.delay_s = 0.0
            case _:
                proxy.stalled = trio.Event()
                await trio.sleep(fault.lasts_s)
                proxy.stalled.set()
        return True

    def _hit(self, fault: Fault) -> list[ClientModel]:
        """Whom among the clients a fault hits; at least one where there is one."""
        clients = list(self._clients())
        share = fault.share * (DEATHS_SHARE if fault.kind is Kind.DEATHS else 1)
        return random.Random(fault.draw).sample(clients, min(len(clients), max(1, round(share * len(clients)))))

    async def _hit_clients(self, fault: Fault) -> bool:
        hit = self._hit(fault)
        async with trio.open_nursery() as nursery:
            for client in hit:
                match fault.kind:
                    case Kind.CUT_CLIENTS:
                        nursery.start_soon(client.cut_mid_frame)
                    case Kind.SLOW_READERS:
                        client.read_slowly(fault.lasts_s)
                    case Kind.TAKEOVERS:
                        client.take_over()
                    case Kind.REPEATS:
                        nursery.start_soon(client.repeat_itself)
                    case Kind.MOVES:
                        client.move(self._nodes[fault.node].url)
                    case Kind.DEATHS:
                        client.die()
                    case _:
                        raise AssertionError(fault.kind)
        return bool(hit)


def _write_over(path: Path, content: bytes) -> None:
    """Replace what a file holds by as many bytes, in place: servers have it mapped."""
    with path.open("r+b") as file:
        file.write(content)
