"""What players can do with their own account, put together."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from gameserver.clock import Clock
from gameserver.identity.accounts import Accounts
from gameserver.identity.migration import Moves
from gameserver.identity.passphrases import COST, Passphrases
from gameserver.identity.personal_data import PersonalData
from gameserver.identity.profile import Profiles
from gameserver.identity.recovery import Recovery
from gameserver.identity.security_log import AddressHash
from persistence.account_export import ExportStore
from persistence.move_store import MoveStore
from persistence.postgres import Database
from persistence.profile_store import ProfileStore
from persistence.recovery_store import RecoveryStore
from persistence.throttle_store import ThrottleStore


@dataclass(frozen=True, slots=True)
class AccountServices:
    """The services behind `/account` and `/players`."""

    profiles: Profiles
    recovery: Recovery
    moves: Moves
    personal_data: PersonalData


def account_services(
    database: Database,
    accounts: Accounts,
    clock: Clock,
    address_hash: AddressHash,
    *,
    renamed: Callable[[UUID, str], None],
    bcrypt_cost: int = COST,
) -> AccountServices:
    """The services over one database.

    Args:
        database: where accounts are.
        accounts: checks `initData`.
        clock: the present.
        address_hash: how addresses are named.
        renamed: told the new name of a player (public id) who may be in this node's memory.
        bcrypt_cost: of passphrases.
    """
    throttles = ThrottleStore(database)
    return AccountServices(
        Profiles(ProfileStore(database), clock, renamed),
        Recovery(RecoveryStore(database), throttles, accounts, Passphrases(cost=bcrypt_cost), clock, address_hash),
        Moves(MoveStore(database), throttles, accounts, clock, address_hash),
        PersonalData(ExportStore(database), throttles, clock),
    )
