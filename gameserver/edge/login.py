"""HELLO: who is it?

An access token is checked on the spot, without the database. `init_data` is a login: it may create the player, so it
waits for the database in a task of its own. Nothing of the player is touched before the credential is good.
"""

from collections.abc import Callable
from uuid import UUID

import trio

from gameserver.actors.actor import Cell
from gameserver.actors.player import PlayerActor
from gameserver.actors.registry import Registry
from gameserver.edge.surroundings import Greeted
from gameserver.errors import Busy, Unavailable, WireError
from gameserver.identity.accounts import Accounts
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.visitor import Visitor
from gameserver.logs import get_logger
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass
from gameserver.wire.messages import Hello
from persistence.errors import DatabaseUnavailable

MAX_LOGINS = 1_000  #: by init_data, under way at a time: some seconds' worth
LOGIN_S = 15.0  #: then whoever asked has been told to come back

log = get_logger(__name__)


class LoginDoor:
    """Lets sessions in.

    Args:
        accounts: checks credentials.
        players: where the players' actors are.
        nursery: logins by init_data run in it.
        last_seen: told which logins come.
        limits: how often they may.
        serving: whether what this node has in memory may be given to who comes; else another node may have it by now.
    """

    def __init__(
        self,
        accounts: Accounts,
        players: Registry[UUID, PlayerActor],
        nursery: trio.Nursery,
        last_seen: LastSeen,
        limits: RateLimits,
        *,
        serving: Callable[[], bool] = lambda: True,
    ) -> None:
        self._serving = serving
        self._accounts = accounts
        self._players = players
        self._nursery = nursery
        self._last_seen = last_seen
        self._limits = limits
        self._logins = 0  #: under way

    def greet(self, session: Greeted, hello: Hello) -> None:
        """Check the credential, then have the session join its player or turn it away."""
        if not self._serving():
            session.turned_away(Unavailable("this node has to renew its lease first"))
            return
        # Only a look: whose HELLO it is, and so what it counts for, is known when the credential is good.
        if error := self._limits.refusal(LimitClass.HELLO, self._limits.caller(session.address), take=False):
            session.turned_away(error)
            return
        visitor = Visitor.of(client=hello.body.client, device=hello.body.device, address=session.address)
        if hello.body.token is None:
            if self._logins >= MAX_LOGINS:
                session.turned_away(Busy("too many players are just logging in"))
                return
            self._logins += 1
            self._nursery.start_soon(self._log_in, session, hello, visitor)
            return
        try:
            claims = self._accounts.verify(hello.body.token, visitor)
            cell = self._cell(session, claims.player)
        except WireError as error:
            session.turned_away(error)
        else:
            self._last_seen.note(claims.session, visitor)
            session.join(cell, hello, claims.session, None)

    def _cell(self, session: Greeted, player: UUID) -> Cell[PlayerActor]:
        """Where the player is; raises why this HELLO may not go there."""
        self._limits.demand(LimitClass.HELLO, self._limits.caller(session.address, player))
        return self._players.cell(player)

    async def _log_in(self, session: Greeted, hello: Hello, visitor: Visitor) -> None:
        assert hello.body.init_data is not None
        try:
            with trio.fail_after(LOGIN_S):
                login = await self._accounts.login_telegram(hello.body.init_data, visitor)
            cell = self._cell(session, login.public_id)
            self._last_seen.note(login.session_id, visitor)
            session.join(cell, hello, login.session_id, (login.access, login.refresh))
        except WireError as error:
            session.turned_away(error)
        except (DatabaseUnavailable, trio.TooSlowError):
            session.turned_away(Unavailable("the database is away"))
        except Exception:  # one failed login must not end the others
            log.exception("a login failed")
            session.turned_away(Unavailable("the login failed; try again"))
        finally:
            self._logins -= 1
