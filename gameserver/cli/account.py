"""`gameserver account`: what operators do to a player's account as a whole."""

import functools
import getpass
from typing import Annotated
from uuid import UUID

import typer

from gameserver.cli.app import app, refusing, say
from gameserver.clock import SystemClock
from gameserver.errors import OperatorError
from gameserver.settings import load_settings

account = typer.Typer(help="A player's account: move, recover, ban, limit, erase.", no_args_is_help=True)
app.add_typer(account, name="account")

Player = Annotated[UUID, typer.Argument(help="The player's public id (`gameserver report players`).")]
TelegramId = Annotated[int, typer.Argument(min=1, help="Telegram's id of the account to move to.")]


MAX_REASON_CHARS = 500


def _operator() -> str:
    return f"cli:{getpass.getuser()}"[:100]


@account.command("migrate")
@refusing
def migrate(player: Player, telegram_id: TelegramId) -> None:
    """Move a player to another Telegram account; all logins end."""
    from gameserver.schema import with_game
    from persistence.account_changes import migrate_account

    now_ms = SystemClock().now_ms()
    move = functools.partial(migrate_account, player=player, telegram_id=telegram_id, now_ms=now_ms, actor=_operator())
    with_game(load_settings(), move)
    say(f"moved: {player} now belongs to Telegram account {telegram_id}")


@account.command("recovery-code")
@refusing
def recovery_code(
    player: Player, days: Annotated[int, typer.Option(min=1, max=30, help="How long it is good for.")] = 7
) -> None:
    """Draw a code that moves the account to another Telegram account, once; give it to the player by a safe way."""
    from gameserver.schema import with_game
    from persistence.account_changes import issue_recovery_code

    now_ms = SystemClock().now_ms()
    issue = functools.partial(issue_recovery_code, player=player, days=days, now_ms=now_ms, actor=_operator())
    say(with_game(load_settings(), issue))


@account.command("redeem")
@refusing
def redeem(code: Annotated[str, typer.Argument(help="From `recovery-code`.")], telegram_id: TelegramId) -> None:
    """Move the account that a recovery code was issued for."""
    from gameserver.schema import with_game
    from persistence.account_changes import redeem_recovery_code

    now_ms = SystemClock().now_ms()
    use = functools.partial(redeem_recovery_code, code=code, telegram_id=telegram_id, now_ms=now_ms, actor=_operator())
    say(f"moved: {with_game(load_settings(), use)} now belongs to Telegram account {telegram_id}")


@account.command("ban")
@refusing
def ban(
    player: Player,
    reason: Annotated[str, typer.Option(help="Why, for other operators.")],
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="For how long; for good, if left out.")] = None,
) -> None:
    """Keep a player from playing; open sockets are closed at once, on every node."""
    from gameserver.schema import with_game
    from persistence.account_changes import ban_account

    if not 1 <= len(reason) <= MAX_REASON_CHARS:
        raise OperatorError(f"the reason of a ban has 1 to {MAX_REASON_CHARS} characters.")
    now_ms = SystemClock().now_ms()
    act = functools.partial(ban_account, player=player, days=days, reason=reason, now_ms=now_ms, actor=_operator())
    with_game(load_settings(), act)
    say(f"banned: {player}{'' if days is None else f' for {days} days'}")


@account.command("unban")
@refusing
def unban(player: Player) -> None:
    """Let a banned player play again."""
    from gameserver.schema import with_game
    from persistence.account_changes import lift_ban

    now_ms = SystemClock().now_ms()
    with_game(load_settings(), functools.partial(lift_ban, player=player, now_ms=now_ms, actor=_operator()))
    say(f"let in again: {player}")


@account.command("shadow-limit")
@refusing
def shadow_limit(player: Player) -> None:
    """Hide a player from others on boards: a suspicion (`gameserver report suspicious`) is confirmed."""
    _judge(player, guilty=True)
    say(f"limited: others do not see {player} on boards")


@account.command("lift")
@refusing
def lift(player: Player) -> None:
    """Lift a player's shadow limit: a suspicion is cleared, and no signal sets the limit again for 30 days."""
    _judge(player, guilty=False)
    say(f"lifted: others see {player} on boards, from their next snapshot on")


def _judge(player: UUID, *, guilty: bool) -> None:
    from gameserver.schema import with_game
    from persistence.account_changes import judge_suspicion

    now_ms = SystemClock().now_ms()
    with_game(
        load_settings(),
        functools.partial(judge_suspicion, player=player, guilty=guilty, now_ms=now_ms, actor=_operator()),
    )


@account.command("erase")
@refusing
def erase(player: Player, yes: Annotated[bool, typer.Option("--yes", help="It cannot be undone.")] = False) -> None:
    """Erase everything personal of a player, for good; what the ledger needs stays without a name."""
    from gameserver.schema import with_game
    from persistence.account_changes import erase_account

    if not yes:
        raise OperatorError(f"erasing {player} cannot be undone; add --yes to do it.")
    now_ms = SystemClock().now_ms()
    with_game(load_settings(), functools.partial(erase_account, player=player, now_ms=now_ms, actor=_operator()))
    say(f"erased: {player}")
