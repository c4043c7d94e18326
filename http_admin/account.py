"""What a player does with the own account over HTTP: see, change, export, recover, move, erase it."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from gameserver.identity.account_services import AccountServices
from gameserver.identity.accounts import Accounts
from gameserver.identity.personal_data import SCHEMA
from gameserver.identity.tokens import AccessClaims
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass
from http_admin.account_models import (
    Confirmed,
    Erasure,
    LostAccount,
    MoveConfirmation,
    MoveOffer,
    NewPassphrase,
    OwnAccount,
    PrivacySettings,
    ProfileChange,
    PublicProfile,
    Recovered,
    RecoveryCodes,
    RecoveryCodesRequest,
)
from http_admin.bearer import bearer_claims, counted_visitor
from http_admin.problems import documented
from persistence.account_export import Section
from persistence.caller import Caller

_EXPORT: Final = {"schema": SCHEMA, "player": "7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d", "sections": {"player": []}}


def account_routes(accounts: Accounts, limits: RateLimits, services: AccountServices) -> APIRouter:
    """The routes under `/account` and `/players`.

    Args:
        accounts: verifies access tokens.
        limits: how often may be asked.
        services: do the work.
    """
    routes = APIRouter(tags=["account"])
    profiles, recovery, moves, personal_data = (
        services.profiles,
        services.recovery,
        services.moves,
        services.personal_data,
    )

    def caller(limit_class: LimitClass) -> Callable[[AccessClaims], Caller]:
        Claims = Annotated[AccessClaims, Depends(bearer_claims(accounts, limits, limit_class))]  # noqa: N806 - a type

        def of(claims: Claims) -> Caller:
            return Caller(claims.player, claims.session)

        return of

    Reading = Annotated[Caller, Depends(caller(LimitClass.ACCOUNT_READ))]  # noqa: N806 - a type
    Writing = Annotated[Caller, Depends(caller(LimitClass.ACCOUNT_WRITE))]  # noqa: N806 - a type
    Deciding = Annotated[Caller, Depends(caller(LimitClass.ACCOUNT_SENSITIVE))]  # noqa: N806 - a type
    Asking = Annotated[Visitor, Depends(counted_visitor(limits, LimitClass.ACCOUNT_SENSITIVE))]  # noqa: N806 - a type

    @routes.get("/account", responses=documented(401, 403, 429, 503))
    async def account(who: Reading) -> OwnAccount:
        """The own account: profile, privacy, what would recover it, and a move that is under way."""
        return OwnAccount.of(who.player, await profiles.own(who))

    @routes.patch("/account", responses=documented(401, 403, 409, 413, 422, 429, 503))
    async def change(who: Writing, body: ProfileChange) -> OwnAccount:
        """Change the display name, which is free once and then not possible (409), or the locale."""
        return OwnAccount.of(who.player, await profiles.change(who, body.display_name, body.locale))

    @routes.get("/account/privacy", responses=documented(401, 403, 429, 503))
    async def privacy(who: Reading) -> PrivacySettings:
        """Who sees what of the own account."""
        return PrivacySettings.of((await profiles.own(who)).privacy)

    @routes.put("/account/privacy", responses=documented(401, 403, 413, 422, 429, 503))
    async def set_privacy(who: Writing, body: PrivacySettings) -> PrivacySettings:
        """Say who sees what; boards follow within ten minutes."""
        await profiles.set_privacy(who, body.chosen())
        return body

    @routes.get("/players/{player}", responses=documented(401, 403, 404, 422, 429, 503))
    async def public_profile(who: Reading, player: UUID) -> PublicProfile:
        """What the caller may see of a player. Who may not be seen is not found, like who does not exist."""
        return PublicProfile.of(await profiles.of(who, player))

    export_responses = documented(401, 403, 429, 503) | {
        200: {
            "description": f"`{SCHEMA}`: every section is an array",
            "content": {"application/json": {"example": _EXPORT}},
        }
    }

    @routes.get("/account/export", response_class=StreamingResponse, responses=export_responses)
    async def export(who: Reading) -> StreamingResponse:
        """Everything personal that is held about the caller, as JSON; once a minute."""
        pages = await personal_data.export(who)
        first = await anext(pages)  # what goes wrong at once is still a problem, and no broken answer
        headers = {"content-disposition": 'attachment; filename="account.json"'}
        return StreamingResponse(_as_json(who, first, pages), media_type="application/json", headers=headers)

    @routes.post(
        "/account/erase", status_code=204, response_class=Response, responses=documented(401, 403, 413, 422, 429, 503)
    )
    async def erase(who: Deciding, body: Erasure) -> None:
        """Erase the account for good. The ledger stays, of a player without a name; every login ends."""
        await personal_data.erase(who, body.confirm)

    @routes.put(
        "/account/recovery/passphrase",
        status_code=204,
        response_class=Response,
        responses=documented(401, 403, 409, 413, 422, 429, 503),
    )
    async def set_passphrase(who: Deciding, body: NewPassphrase) -> None:
        """Set the passphrase that recovers the account; the present one is needed to replace it."""
        await recovery.set_passphrase(who, body.passphrase, body.old)

    @routes.post("/account/recovery/codes", responses=documented(401, 403, 413, 422, 429, 503))
    async def issue_codes(who: Deciding, body: RecoveryCodesRequest) -> RecoveryCodes:
        """Draw one-time codes that recover the account. They are shown once, here; those from before end."""
        codes = await recovery.issue_codes(who, body.passphrase)
        return RecoveryCodes(codes=list(codes.codes), expires_at_ms=codes.expires_at_ms)

    @routes.post("/account/recover", responses=documented(401, 403, 409, 413, 422, 429, 503))
    async def recover(body: LostAccount, asking: Asking) -> Recovered:
        """Move a lost account to the Telegram account that asks; then log in with the same `init_data`."""
        player = await recovery.recover(
            body.init_data, body.account, passphrase=body.passphrase, code=body.code, visitor=asking
        )
        return Recovered(player=player)

    @routes.post("/account/migration", responses=documented(401, 403, 409, 429, 503))
    async def offer(who: Deciding) -> MoveOffer:
        """Draw a code with which another Telegram account may take this player; an offer from before ends."""
        drawn = await moves.offer(who)
        return MoveOffer(code=drawn.code, expires_at_ms=drawn.expires_at_ms)

    @routes.post("/account/migration/confirm", responses=documented(401, 403, 409, 413, 422, 429, 503))
    async def confirm(body: MoveConfirmation, asking: Asking) -> Confirmed:
        """Confirm a move on the new side; it is completed when the old side has not cancelled by `due_at_ms`."""
        return Confirmed(due_at_ms=await moves.confirm(body.init_data, body.code, asking))

    @routes.delete(
        "/account/migration", status_code=204, response_class=Response, responses=documented(401, 403, 404, 429, 503)
    )
    async def cancel(who: Deciding) -> None:
        """Cancel the move that is under way."""
        await moves.cancel(who)

    return routes


async def _as_json(who: Caller, first: Section, rest: AsyncIterator[Section]) -> AsyncIterator[str]:
    """The pages as one JSON object; of several pages of a section one array is made."""
    yield f'{{"schema":"{SCHEMA}","player":"{who.player}","sections":{{"{first.name}":[{",".join(first.rows)}'
    before = first
    async for page in rest:
        if page.name != before.name:
            yield f'],"{page.name}":['
        elif page.rows:
            yield ","
        yield ",".join(page.rows)
        before = page
    yield "]}}"
