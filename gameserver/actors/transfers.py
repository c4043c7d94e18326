"""Tokens to another player, as turns of the sender.

The sender is debited, the amount goes to escrow and a row of `player_grants` to the receiver, in one transaction. The
receiver's actor takes it from there, wherever it is: on this node, on another one, or loaded next week.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from gameserver.actors.habitat import Directory
from gameserver.actors.messages import Turn
from gameserver.errors import Conflict, Forbidden, Insufficient, InvalidArgument, NotFound
from gameserver.game.transfers import FEE_BP, MAX_PER_DAY_MPT, MIN_AGE_MS, MIN_LEVEL, fee_mpt
from gameserver.wire.catalogue import MIN_TRANSFER_MPT, NoArgs, Sent, TransferOrder, TransferTerms
from hotpath.rules import DAY_MS
from persistence.records import Account, GrantGiven, GrantKind, LedgerKind

if TYPE_CHECKING:
    from gameserver.actors.player import PlayerActor


async def find_receiver(directory: Directory, args: TransferOrder) -> int | None:
    """The lookup of `transfer.send`: the receiver's id, None where there is no such player."""
    try:
        public_id = UUID(args.to)
    except ValueError:
        return None
    return await directory.find_player(public_id)


def tell_terms(player: "PlayerActor", args: NoArgs, turn: Turn) -> TransferTerms:
    """`transfer.terms`: what `send_transfer` will ask for."""
    del args
    used = player.journal.limits_of(turn.now_ms)
    return TransferTerms(
        fee_bp=FEE_BP,
        min_mpt=MIN_TRANSFER_MPT,
        left_today_mpt=MAX_PER_DAY_MPT - used.sent_mpt,
        resets_ms=(used.day + 1) * DAY_MS,
        min_level=MIN_LEVEL,
        from_ms=player.created_ms + MIN_AGE_MS,
    )


def send_transfer(player: "PlayerActor", args: TransferOrder, turn: Turn) -> Sent:
    """`transfer.send`: debit the sender, owe the receiver.

    Raises:
        NotFound: there is no such receiver.
        InvalidArgument: it is the sender.
        Forbidden: the sender's level or account's age is below what sending takes.
        Conflict: the day's limit.
        Insufficient: amount and fee are more than the balance.
    """
    receiver_id: int | None = turn.found
    if receiver_id is None:
        raise NotFound("there is no such player")
    if receiver_id == player.player_id:
        raise InvalidArgument("nobody sends tokens to himself")
    if player.state.level < MIN_LEVEL:
        raise Forbidden(f"sending tokens takes level {MIN_LEVEL}")
    if turn.now_ms - player.created_ms < MIN_AGE_MS:
        raise Forbidden("sending tokens takes an account of seven days")
    used = player.journal.limits_of(turn.now_ms)
    if used.sent_mpt + args.amount_mpt > MAX_PER_DAY_MPT:
        raise Conflict(f"at most {MAX_PER_DAY_MPT - used.sent_mpt} mPT more can be sent today")
    fee = fee_mpt(args.amount_mpt)
    if player.state.balance_mpt < args.amount_mpt + fee:
        raise Insufficient(f"{args.amount_mpt} mPT and a fee of {fee} mPT are more than the balance")
    before = player.snapshot(turn.now_ms)
    operation = f"{player.player_id}:{turn.lineage.hex()}:{turn.seq}"
    player.journal.spend(
        player.state,
        LedgerKind.TRANSFER_SENT,
        f"transfer_out:{operation}",
        args.amount_mpt,
        Account.ESCROW,
        turn.now_ms,
    )
    player.journal.spend(
        player.state, LedgerKind.TRANSFER_FEE, f"transfer_fee:{operation}", fee, Account.BURN, turn.now_ms
    )
    grant = GrantGiven(receiver_id, f"transfer:{operation}", GrantKind.TRANSFER_RECEIVED, args.amount_mpt)
    player.journal.give(grant)
    player.journal.use(used, sent_mpt=used.sent_mpt + args.amount_mpt)
    return Sent(args.to, args.amount_mpt, fee, player.changes_since(before, turn.now_ms))
