"""HELLO: who is it?

An access token is checked on the spot, without the database. `init_data` is a login: it may create the player, so it
waits for the database in a task of its own. Nothing of the player is touched before the credential is good.
"""

from collections.abc import Callable
from uuid import UUID

import trio

from gameserver.actors.player import PlayerActor
from gameserver.actors.registry import Registry
from gameserver.edge.surroundings import Greeted
from gameserver.errors import Unavailable, WireError
from gameserver.identity.accounts import Accounts
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.visitor import Visitor
from gameserver.logs import get_logger
from gameserver.wire.messages import Hello
from persistence.errors import DatabaseUnavailable

RETRY_MS = 1_000

log = get_logger(__name__)


class LoginDoor:
    """Lets sessions in.

    Args:
        accounts: checks credentials.
        players: where the players' actors are.
        nursery: logins by init_data run in it.
        last_seen: told which logins come.
        serving: whether what this node has in memory may be given to who comes; else another node may have it by now.
    """

    def __init__(
        self,
        accounts: Accounts,
        players: Registry[UUID, PlayerActor],
        nursery: trio.Nursery,
        last_seen: LastSeen,
        *,
        serving: Callable[[], bool] = lambda: True,
    ) -> None:
        self._serving = serving
        self._accounts = accounts
        self._players = players
        self._nursery = nursery
        self._last_seen = last_seen

    def greet(self, session: Greeted, hello: Hello) -> None:
        """Check the credential, then have the session join its player or turn it away."""
        if not self._serving():
            session.turned_away(Unavailable("this node has to renew its lease first", retry_after_ms=RETRY_MS))
            return
        if hello.body.token is None:
            self._nursery.start_soon(self._log_in, session, hello)
            return
        try:
            claims = self._accounts.verify(hello.body.token)
        except WireError as error:
            session.turned_away(error)
        else:
            self._let_in(session, hello, claims.player, claims.session, None)

    def _let_in(
        self, session: Greeted, hello: Hello, player: UUID, login: UUID, tokens: tuple[str, str] | None
    ) -> None:
        self._last_seen.note(login, _visitor(session, hello))
        session.join(self._players.cell(player), hello, login, tokens)

    async def _log_in(self, session: Greeted, hello: Hello) -> None:
        assert hello.body.init_data is not None
        try:
            login = await self._accounts.login_telegram(hello.body.init_data, _visitor(session, hello))
            self._let_in(session, hello, login.public_id, login.session_id, (login.access, login.refresh))
        except WireError as error:
            session.turned_away(error)
        except DatabaseUnavailable:
            session.turned_away(Unavailable("the database is away", retry_after_ms=RETRY_MS))
        except Exception:  # one failed login must not end the others
            log.exception("a login failed")
            session.turned_away(Unavailable("the login failed; try again", retry_after_ms=RETRY_MS))


def _visitor(session: Greeted, hello: Hello) -> Visitor:
    return Visitor.of(client=hello.body.client, device=hello.body.device, address=session.address)
