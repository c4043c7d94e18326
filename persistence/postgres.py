"""The one door to PostgreSQL; asyncio lives behind it.

The server is Trio, the driver (asyncpg) is asyncio. Crossing from one to the other costs more than a statement does, so
what crosses is a whole transaction: `await database.transaction(work, *args)`, where `work(connection, *args)` runs on
the asyncio side. It may await nothing but its `Connection`.

Connections are borrowed from a small pool or owned by whoever needs one for long (`dedicated`). A connection in doubt
(cancelled, lost, timed out) is ended, never repaired: PostgreSQL then rolls its transaction back, and nothing of it can
leak into the next. One that is cancelled is given `CLOSE_S` to stop its statement in the server, whose locks it would
hold on to otherwise.

Every error of the driver becomes one of `persistence.errors` here.
"""

import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias, TypeVar, TypeVarTuple

import asyncpg
import trio
import trio_asyncio  # type: ignore[import-untyped]  # it ships no types

from persistence.backoff import pause_s
from persistence.database_address import address_of
from persistence.errors import DatabaseUnavailable, Duplicate, OutcomeUnknown, PersistenceError, Rejected, SetupFailed
from persistence.sqlstates import UNIQUE_VIOLATION, ends_connection, is_transient

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Row: TypeAlias = asyncpg.Record
RawConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

log = logging.getLogger(__name__)

CONNECT_S = 5.0  #: to open a connection
STATEMENT_S = 10.0  #: PostgreSQL stops a statement that takes longer …
ANSWER_S = 15.0  #: … and a connection that has not answered by then is given up
IDLE_IN_TRANSACTION_S = 10.0  #: PostgreSQL rolls back the transaction of a client that went silent
CLOSE_S = 2.0  #: for a polite goodbye; then the connection is cut
LISTEN_CHECK_S = 30.0  #: how often a silent LISTEN connection is asked whether it still lives
RELISTEN_MAX_S = 2.0  #: at most, between two attempts to listen again

_DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class Connection(Protocol):
    """What a transaction's work may do; asyncio-flavoured, valid only while the work runs.

    Every method raises `Rejected` where PostgreSQL refuses, `DatabaseUnavailable` where it is lost.
    """

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement (without arguments: several) and return its command tag, e.g. `UPDATE 3`."""

    async def fetch(self, sql: str, *args: object) -> Sequence[Row]:
        """All rows."""

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        """The first row, None if there is none."""

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, None if there is none."""

    async def copy_text(self, table: str, *, columns: Sequence[str], blocks: AsyncIterable[bytes]) -> str:
        """COPY rows into a table; the blocks are in PostgreSQL's text format."""


class _TranslatingConnection:
    """A `Connection` whose errors are ours."""

    __slots__ = ("_raw",)

    def __init__(self, raw: RawConnection) -> None:
        self._raw = raw

    async def execute(self, sql: str, *args: object) -> str:
        return await self._answer(self._raw.execute(sql, *args))

    async def fetch(self, sql: str, *args: object) -> Sequence[Row]:
        return await self._answer(self._raw.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        return await self._answer(self._raw.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self._answer(self._raw.fetchval(sql, *args))

    async def copy_text(self, table: str, *, columns: Sequence[str], blocks: AsyncIterable[bytes]) -> str:
        return await self._answer(self._raw.copy_to_table(table, source=blocks, columns=columns, format="text"))

    async def _answer(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except _DRIVER_ERRORS as error:
            raise _translated(error, self._raw) from error


Work: TypeAlias = Callable[..., Awaitable[T]]


class DedicatedConnection:
    """One connection for one user at a time, opened when first used and again after it was lost.

    Args:
        database: whose server it connects to.
        purpose: shown in `pg_stat_activity`.
        patient: no limit on how long a statement takes, for migrations.
    """

    def __init__(self, database: "Database", purpose: str, *, patient: bool = False) -> None:
        self._database = database
        self._purpose = purpose
        self._patient = patient
        self._raw: RawConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as anyone has noticed."""
        return self._raw is not None and not self._raw.is_closed()

    async def transaction(self, work: Work[T], *args: object) -> T:
        """Run `work(connection, *args)` in one READ COMMITTED transaction and return what it returned.

        Raises:
            DatabaseUnavailable: nothing was committed; try again.
            OutcomeUnknown: the connection died in COMMIT; carries what the work had returned.
            Rejected: PostgreSQL refused; nothing was committed.

        Whatever else the work raises rolls back and comes out unchanged. When cancelled, the connection is cut.
        """
        return await self._database.cross(self._transaction, work, args)

    async def run(self, work: Work[T], *args: object) -> T:
        """Run `work(connection, *args)` without a transaction round it; each of its statements is its own."""
        return await self._database.cross(self._run, work, args)

    async def listen(self, channel: str, on_notice: Callable[[str], None], on_lost: Callable[[], None]) -> None:
        """LISTEN on this connection; from then on the callbacks are called as things happen."""
        await self._database.cross(self._listen, channel, on_notice, on_lost)

    async def aclose(self) -> None:
        """Close the connection: politely within `CLOSE_S`, else by cutting it. Never raises; works when cancelled."""
        raw, self._raw = self._raw, None
        if raw is not None and not raw.is_closed():
            with trio.CancelScope(shield=True):
                await self._database.cross(_end, raw)

    async def _transaction(self, work: Work[T], args: tuple[object, ...]) -> T:
        raw = await self._connected()
        connection = _TranslatingConnection(raw)
        try:
            await connection.execute("BEGIN")
            result = await work(connection, *args)
        except BaseException as error:
            await self._roll_back(raw, error)
            raise
        try:
            tag = await raw.execute("COMMIT")
        except _DRIVER_ERRORS as error:
            if isinstance(error, asyncpg.PostgresError) and not ends_connection(error.sqlstate or ""):
                raise _translated(error, raw) from error  # an answer: refused, hence rolled back
            raw.terminate()
            raise OutcomeUnknown(f"the connection died in COMMIT: {error!r}", result=result) from error
        except BaseException:
            await _end(raw)
            raise
        if tag != "COMMIT":
            raise RuntimeError("a transaction's work went on after one of its statements had failed")
        return result

    async def _run(self, work: Work[T], args: tuple[object, ...]) -> T:
        raw = await self._connected()
        try:
            return await work(_TranslatingConnection(raw), *args)
        except Rejected:
            raise
        except BaseException:
            await _end(raw)
            raise

    async def _roll_back(self, raw: RawConnection, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(error, DatabaseUnavailable) and not raw.is_closed():
            try:
                await raw.execute("ROLLBACK", timeout=CLOSE_S)
            except _DRIVER_ERRORS:
                log.debug("ROLLBACK failed; the connection is ended instead", exc_info=True)
            else:
                return
        await _end(raw)

    async def _listen(self, channel: str, on_notice: Callable[[str], None], on_lost: Callable[[], None]) -> None:
        raw = await self._connected()
        raw.add_termination_listener(lambda _connection: on_lost())
        try:
            await raw.add_listener(channel, lambda *notice: on_notice(notice[-1]))
        except _DRIVER_ERRORS as error:
            raise _translated(error, raw) from error

    async def _connected(self) -> RawConnection:
        if self._raw is None or self._raw.is_closed():
            self._raw = await self._database.connect(self._purpose, patient=self._patient)
        return self._raw


@dataclass(frozen=True, slots=True)
class DatabaseStatistics:
    """The pool, at one instant."""

    idle_connections: int  #: open and not in use
    borrowed_connections: int  #: in use by `transaction` and `run`
    waiting_tasks: int  #: tasks that wait for a connection
    connects: int  #: connections opened since the start, dedicated ones included


class Database:
    """One PostgreSQL server, seen from Trio. Made by `Database.open`."""

    def __init__(self, dsn: str, loop: trio_asyncio.TrioEventLoop, max_connections: int, application: str) -> None:
        self._dsn = dsn
        self._loop = loop
        self._slots = trio.Semaphore(max_connections)
        self._max_connections = max_connections
        self._application = application
        self._idle: list[DedicatedConnection] = []
        self._connects = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str, *, max_connections: int = 4, application: str = "gameserver") -> AsyncIterator[Self]:
        """Open the database inside `open_loop()`; one connection is made to see that it answers.

        Args:
            dsn: `postgresql://user:password@host:port/name`, or with `?host=/folder` for a unix socket.
            max_connections: how many `transaction` and `run` may use at once; dedicated ones come on top.
            application: first part of `application_name`.

        Raises:
            DatabaseUnavailable: it does not answer.
            SetupFailed: it refuses us: wrong address, login or name.
        """
        database = cls(dsn, trio_asyncio.current_loop.get(), max_connections, application)
        try:
            await database.run(_select_one)
            yield database
        finally:
            for connection in database._idle:
                await connection.aclose()

    async def transaction(self, work: Work[T], *args: object) -> T:
        """`DedicatedConnection.transaction` on a borrowed connection; waits for a free one."""
        async with self._borrowed() as connection:
            return await connection.transaction(work, *args)

    async def run(self, work: Work[T], *args: object) -> T:
        """`DedicatedConnection.run` on a borrowed connection; waits for a free one."""
        async with self._borrowed() as connection:
            return await connection.run(work, *args)

    @asynccontextmanager
    async def dedicated(self, purpose: str, *, patient: bool = False) -> AsyncIterator[DedicatedConnection]:
        """A connection of one's own (a flush lane, an advisory lock), closed at the end of the block."""
        connection = DedicatedConnection(self, purpose, patient=patient)
        try:
            yield connection
        finally:
            await connection.aclose()

    async def listen(
        self,
        channel: str,
        on_notice: Callable[[str], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Call `on_notice(payload)` at each NOTIFY on `channel`, for ever; to be started in a nursery.

        It is also called after every (re)connect, with "", for what was notified while nobody listened. It must not
        raise. While the database is away, connecting is tried again and again.
        """
        started = False
        unanswered = 0
        while True:
            lost = trio.Event()
            try:
                async with self.dedicated(f"listen {channel}") as connection:
                    await connection.listen(channel, on_notice, lost.set)
                    on_notice("")
                    unanswered = 0
                    if not started:
                        started = True
                        task_status.started()
                    while not lost.is_set():
                        await connection.run(_select_one)  # a connection that is half dead does not answer this
                        with trio.move_on_after(LISTEN_CHECK_S):
                            await lost.wait()
            except PersistenceError as error:
                log.info("not listening on %s just now: %s", channel, error)
            await trio.sleep(pause_s(unanswered, RELISTEN_MAX_S))
            unanswered += 1

    def statistics(self) -> DatabaseStatistics:
        """The pool's present state."""
        waiting = self._slots.statistics().tasks_waiting
        borrowed = self._max_connections - self._slots.value
        return DatabaseStatistics(len(self._idle), borrowed, waiting, self._connects)

    async def cross(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run an asyncio-flavoured function from Trio: the one place where the border is crossed."""
        result: T = await self._loop.run_aio_coroutine(function(*args))
        return result

    async def connect(self, purpose: str, *, patient: bool) -> RawConnection:
        """Asyncio-flavoured: a new connection with all our limits set, but those on statements where `patient`.

        Raises:
            DatabaseUnavailable: nothing answers there, or it has no room.
            SetupFailed: it answers and refuses us.
        """
        try:
            raw = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_S,
                command_timeout=None if patient else ANSWER_S,
                server_settings={
                    "application_name": f"{self._application} {purpose}"[:63],
                    "statement_timeout": "0" if patient else f"{STATEMENT_S:.0f}s",
                    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S:.0f}s",
                    "default_transaction_isolation": "read committed",
                    "tcp_keepalives_idle": "10",
                    "tcp_keepalives_interval": "5",
                    "tcp_keepalives_count": "3",
                    "TimeZone": "UTC",
                    "jit": "off",
                },
            )
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise SetupFailed(
                f"PostgreSQL at {self.address} refuses us ({error}); correct the database address."
            ) from error
        except (asyncpg.ClientConfigurationError, ValueError) as error:
            raise SetupFailed(f"The database address cannot be used ({error}); correct GAME_DATABASE_URL.") from error
        except _DRIVER_ERRORS as error:
            reason = str(error) or "no answer in time"
            raise DatabaseUnavailable(f"PostgreSQL at {self.address} does not answer ({reason}).") from error
        self._connects += 1
        return raw

    @property
    def address(self) -> str:
        """Where the server is, without user and password: for messages."""
        return address_of(self._dsn)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[DedicatedConnection]:
        async with self._slots:
            connection = self._idle.pop() if self._idle else DedicatedConnection(self, "pool")
            try:
                yield connection
            finally:
                if connection.is_open:
                    self._idle.append(connection)


def open_loop() -> AbstractAsyncContextManager[object]:
    """The asyncio loop behind the border: one per run, opened by whoever composes it, round every `Database.open`."""
    return trio_asyncio.open_loop()  # type: ignore[no-any-return]  # it ships no types


async def _select_one(connection: Connection) -> None:
    await connection.execute("SELECT 1")


async def _end(raw: RawConnection) -> None:
    """Stop what the connection is doing and close it, within `CLOSE_S`; then it is cut."""
    try:
        await raw.close(timeout=CLOSE_S)
    except _DRIVER_ERRORS:
        raw.terminate()


def _translated(error: BaseException, raw: RawConnection) -> BaseException:
    """Our error for the driver's; the driver's own where it says that we used it wrongly."""
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        if is_transient(sqlstate):
            return DatabaseUnavailable(f"{sqlstate}: {error}", sqlstate=sqlstate)
        kind = Duplicate if sqlstate == UNIQUE_VIOLATION else Rejected
        constraint = getattr(error, "constraint_name", None) or ""
        return kind(str(error), sqlstate=sqlstate, constraint=constraint)
    if isinstance(error, asyncpg.DataError | asyncpg.exceptions._base.DataError):  # noqa: SLF001 - no public name
        return Rejected(str(error))
    if isinstance(error, OSError) or raw.is_closed():
        raw.terminate()
        return DatabaseUnavailable(str(error) or "no answer in time")
    return error
