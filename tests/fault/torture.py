"""Two servers, one database, a crowd of clients, and everything that can go wrong: `make torture SECONDS=600 SEED=7`.

It owns its PostgreSQL, so that kills of servers and of the database are separate, and uses the loopback alone. At the
end the faults cease, the clients finish their queues, and the checker reads the database. Exit status 1 where a promise
was broken. The schedule of faults comes from the seed alone.
"""

import argparse
import functools
import random
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

from persistence.data_folder import CLUSTER
from persistence.postgres import Database, open_loop
from tests.data_folders import new_data_folder
from tests.fakes.postgres_proxy import proxy_to
from tests.fault.checker import check, check_fights
from tests.fault.database_image import DatabaseImage, PlayerImage
from tests.fault.faults import ALWAYS, Kind, schedule
from tests.fault.game_node import GameNode
from tests.fault.history import History
from tests.fault.injector import Injector
from tests.fault.launched_server import OFFSET
from tests.fault.lease_checks import ON, STOLEN
from tests.fault.load import Crowd
from tests.fault.mutations import MUTATIONS
from tests.fault.own_postgres import OwnPostgres, own_postgres
from tests.fault.polling import until
from tests.fault.prepare import prepare_players
from tests.fault.read_image import read_image
from tests.fault.report import Outcome, Recoveries
from tests.fault.scenarios import SCENARIOS
from tests.fault.violations import Rule, Violation

NODES = 2
JWT_KEYS = "torture:only-for-a-server-that-is-tortured-here"
RAISING = 0.02
READY_S = 60.0
SETTLE_S = 120.0  #: for everybody to come back and finish
SETTLE_BROKEN_S = 10.0  #: where the servers break a promise on purpose, and some may never
PROGRESS_S = 10.0
GRANT_CHECK_S = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    seconds: float
    seed: int
    players: int = 20
    raising: float = RAISING  #: how often a handler fails
    lease_s: float = 2.0
    mutation: str = ""
    scenario: str = "all"

    @property
    def fighting(self) -> bool:
        """Whether servers fight for the players during the whole run."""
        return SCENARIOS[self.scenario].get(Kind.FIGHT) == ALWAYS

    @property
    def settle_s(self) -> float:
        """How long everybody may take to come back and finish."""
        return SETTLE_BROKEN_S if self.mutation else SETTLE_S

    @property
    def again(self) -> str:
        """The command that runs it once more."""
        command = (
            f"python -m tests.fault.torture --seconds {self.seconds:g} --seed {self.seed} --players {self.players}"
        )
        command += f" --raise {self.raising:g}" if self.raising != RAISING else ""
        command += f" --scenario {self.scenario}" if self.scenario != "all" else ""
        return command + (f" --mutation {self.mutation}" if self.mutation else "")


class Run:
    """One run.

    Args:
        plan: what to run.
        postgres: its database.
        folder: for logs.
    """

    def __init__(self, plan: Plan, postgres: OwnPostgres, folder: Path) -> None:
        self._plan = plan
        self._postgres = postgres
        self._folder = folder
        self._clock = folder / "clock"
        self._clock.write_bytes(OFFSET.pack(0))
        self._lease_checks = folder / "lease_checks"
        self._lease_checks.write_bytes(ON)
        self._history = History()
        self._recoveries = Recoveries()
        self._remarks: list[str] = []
        self._violations: list[Violation] = []

    async def run(self) -> Outcome:
        """All of it."""
        async with open_loop(), AsyncExitStack() as stack:
            nodes = [await self._node(f"node-{number}", stack) for number in range(1, NODES + 1)]
            players = await self._prepare(nodes[0])
            start = (await self._image()).players
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    stack.callback(node.end)
                    nursery.start_soon(node.keep_running)
                nursery.start_soon(self._postgres.keep_running)
                for node in nodes:
                    await _until_open(node)
                injector = await self._torture(nodes, players, nursery)
                statuses = [await node.stop() for node in nodes]
                nursery.cancel_scope.cancel()
            for node, status in zip(nodes, statuses, strict=True):
                if status:
                    self._violations.append(
                        Violation(Rule.DRAIN, node.name, "SIGTERM writes everything", f"the exit status was {status}")
                    )
                if node.ended_by_itself > 1:  # the stop is one
                    self._remarks.append(f"{node.name} ended by itself {node.ended_by_itself - 1} times")
            image = await self._image()
            stolen = sum(node.log.count(STOLEN) for node in nodes)
            self._violations += check(self._history, self._of(players, start), image)
            self._violations += check_fights(self._history, stolen)
            return self._outcome(nodes, injector, image, stolen)

    async def _node(self, name: str, stack: AsyncExitStack) -> GameNode:
        plan = self._plan
        proxy = await stack.enter_async_context(proxy_to(self._postgres.dsn))
        options = ["--clock", str(self._clock), "--lease-checks", str(self._lease_checks)]
        options += ["--raise", str(plan.raising), "--lease-s", str(plan.lease_s)]
        options += ["--mutation", plan.mutation] if plan.mutation else []
        return GameNode(name, proxy, self._folder, {"GAME_JWT_KEYS": JWT_KEYS}, options)

    async def _prepare(self, node: GameNode) -> list[tuple[str, str]]:
        """Schema and players; returns (public id, access token)."""
        run = functools.partial(trio.to_thread.run_sync, abandon_on_cancel=True)
        await run(node.command, "migrate", "up")
        printed = await run(node.command, "token", "--players", str(self._plan.players), "--ttl", str(90 * 86_400))
        async with Database.open(self._postgres.dsn, application="torture") as database:
            public_ids = await prepare_players(database, self._plan.players)
        return list(zip(public_ids, printed.split(), strict=True))

    async def _torture(self, nodes: list[GameNode], players: list[tuple[str, str]], nursery: trio.Nursery) -> Injector:
        now_s, recoveries = trio.current_time, self._recoveries
        crowd = Crowd(
            self._history,
            players,
            self._plan.fighting,
            [node.url for node in nodes],
            self._plan.seed,
            nursery,
            lambda url: recoveries.welcomed(url, now_s()),
            lambda: recoveries.durable(now_s()),
        )
        injector = Injector(
            nodes, self._postgres, lambda: crowd.living, self._clock, self._lease_checks, self._history, recoveries
        )
        faults = schedule(self._plan.seed, self._plan.seconds, NODES, SCENARIOS[self._plan.scenario])
        crowd.start()
        nursery.start_soon(self._tell_progress, nodes, injector)
        with trio.move_on_after(self._plan.seconds + self._plan.settle_s):
            ends_s = trio.current_time() + self._plan.seconds
            await injector.run(faults)
            await trio.sleep_until(ends_s)
        crowd.finishing = True
        await self._settle(crowd)
        return injector

    async def _settle(self, crowd: Crowd) -> None:
        """Wait until everybody is online, has everything answered and durable, and has got what he is owed."""
        with trio.move_on_after(self._plan.settle_s) as settling:
            await until(lambda: not any(crowd.unsettled()))
            while await self._open_grants(crowd):  # noqa: ASYNC110 - a row tells nobody that it has changed
                await trio.sleep(GRANT_CHECK_S)
        if settling.cancelled_caught:
            names = ", ".join(client.history.client for client in crowd.unsettled())
            self._violations.append(
                Violation(
                    Rule.UNSETTLED,
                    "the run",
                    f"all is well {self._plan.settle_s:.0f} s after the last fault",
                    f"not: {names}",
                )
            )
        for client in crowd.clients:
            if client.stopped:
                self._violations.append(
                    Violation(
                        Rule.STOPPED, client.history.client, "the server lets a good client come back", client.stopped
                    )
                )

    async def _open_grants(self, crowd: Crowd) -> bool:
        online = {client.history.player for client in crowd.living}
        image = await self._image()
        return any(not grant.applied and grant.player in online for grant in image.grants.values())

    async def _image(self) -> DatabaseImage:
        async with Database.open(self._postgres.dsn, application="torture") as database:
            return await read_image(database)

    def _of(self, players: Iterable[tuple[str, str]], start: Mapping[str, PlayerImage]) -> dict[str, PlayerImage]:
        return {public_id: start[public_id] for public_id, _ in players}

    async def _tell_progress(self, nodes: list[GameNode], injector: Injector) -> None:
        began_s = trio.current_time()
        while True:
            await trio.sleep(PROGRESS_S)
            operations = sum(len(lineage.operations) for lineage in self._history.lineages)
            kills = sum(node.kills for node in nodes)
            say(
                f"{trio.current_time() - began_s:5.0f} s: {operations} operations, {injector.injected.total()} faults,"
                f" {kills} kills of a server, {self._postgres.restarts} restarts of PostgreSQL"
            )

    def _outcome(self, nodes: list[GameNode], injector: Injector, image: DatabaseImage, stolen: int) -> Outcome:
        if self._postgres.disk is None:
            self._remarks.append("no disk was filled: only root on Linux may mount a small one")
        for node in nodes:
            for word in ("Traceback", "a session crashed"):
                if count := node.log.count(word):
                    self._remarks.append(f"the log of {node.name} has {word!r} {count} times")
        return Outcome(
            seed=self._plan.seed,
            seconds=self._plan.seconds,
            again=self._plan.again,
            history=self._history,
            image=image,
            injected=injector.injected,
            skipped=injector.skipped,
            server_kills=sum(node.kills for node in nodes),
            postgres_restarts=self._postgres.restarts,
            recoveries=self._recoveries,
            stolen=stolen,
            violations=self._violations,
            remarks=self._remarks,
        )


def torture(plan: Plan, keep_logs: Path | None = None) -> Outcome:
    """Run a plan; from the main thread only.

    Args:
        plan: what to run.
        keep_logs: where the servers' logs and the database are copied to.
    """
    folder = new_data_folder("ppj-torture-logs-")
    try:
        with own_postgres() as postgres:
            outcome = trio.run(Run(plan, postgres, folder).run)
            if keep_logs is not None:
                shutil.copy(postgres.server.log_path, folder)
                postgres.server.stop()
                shutil.copytree(postgres.server.data_dir / CLUSTER, folder / "cluster")
        return outcome
    finally:
        if keep_logs is not None:
            shutil.copytree(folder, keep_logs, dirs_exist_ok=True)
        shutil.rmtree(folder)


async def _until_open(node: GameNode) -> None:
    with trio.fail_after(READY_S):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", node.port)
            except OSError:
                await trio.sleep(0.05)
            else:
                await stream.aclose()
                return


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="drawn where it is not given")
    parser.add_argument("--players", type=int, default=20)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="all", help="which faults are mixed")
    parser.add_argument("--raise", dest="raising", type=float, default=RAISING, help="how often a handler fails, 0 … 1")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), default="", help="a promise that the servers break")
    parser.add_argument("--logs", type=Path, help="folder for the servers' logs and the database")
    arguments = parser.parse_args()
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    plan = Plan(
        seconds=arguments.seconds,
        seed=seed,
        players=arguments.players,
        raising=arguments.raising,
        mutation=arguments.mutation,
        scenario=arguments.scenario,
    )
    say(f"again: {plan.again}")
    outcome = torture(plan, arguments.logs)
    say(outcome.text())
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
