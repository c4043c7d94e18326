"""Bodies of the account's endpoints."""

from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from gameserver.identity.passphrases import MAX_BYTES, MIN_CHARS
from gameserver.identity.profile import Visible, rank_name
from hotpath import rules
from persistence.profile_store import Audience, OwnProfile, Privacy

_INIT_DATA = "`Telegram.WebApp.initData` of the new Telegram account, unchanged"
_PASSPHRASE = f"at least {MIN_CHARS} printable characters, at most {MAX_BYTES} bytes of UTF-8"


_PLAYER = "7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d"
_AT_MS = 1_767_225_600_000
_OWN_WORDS = "<your own words, not these>"


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class ProfileChange(_Body):
    """What is left out stays as it is."""

    display_name: str | None = Field(
        default=None, min_length=1, max_length=64, description="printable, single spaces inside", examples=["Ada"]
    )
    locale: str | None = Field(default=None, max_length=6, description="language and country", examples=["pt-BR"])


class PrivacySettings(_Body):
    """Who sees what."""

    model_config = ConfigDict(strict=False)  # an enum in JSON is a string

    profile: Audience = Field(description="who finds the profile at all", examples=["everyone"])
    rank: Audience = Field(
        description="who sees level, rank and influence; boards show only who shows it to everyone",
        examples=["friends"],
    )
    status: Audience = Field(description="who sees whether and when one plays", examples=["nobody"])

    @classmethod
    def of(cls, privacy: Privacy) -> Self:
        """As it is kept."""
        return cls(profile=privacy.profile, rank=privacy.rank, status=privacy.status)

    def chosen(self) -> Privacy:
        """As it is to be kept."""
        return Privacy(self.profile, self.rank, self.status)


class RecoveryState(BaseModel):
    """What would recover the account."""

    passphrase_set_at_ms: int = Field(description="Unix milliseconds; 0: there is none", examples=[_AT_MS])
    codes: int = Field(description="one-time codes that are good", examples=[8])


class MoveState(BaseModel):
    """A move that is under way."""

    state: str = Field(description="`offered` or `confirmed`", examples=["confirmed"])
    expires_at_ms: int = Field(description="until then the new side may confirm, Unix milliseconds", examples=[_AT_MS])
    due_at_ms: int = Field(
        description="until then it may be cancelled, Unix milliseconds; 0 until it is confirmed", examples=[_AT_MS]
    )


class OwnAccount(BaseModel):
    """An account as its player sees it."""

    player: UUID = Field(description="public id", examples=[_PLAYER])
    display_name: str = Field(description="name shown to others", examples=["Ada"])
    may_rename: bool = Field(description="whether the one free renaming is unused", examples=[True])
    locale: str | None = Field(description="language and country; null: unknown", examples=["pt-BR"])
    telegram_linked: bool = Field(description="whether it belongs to a Telegram account", examples=[True])
    premium: bool = Field(description="Telegram Premium", examples=[False])
    referral_code: str = Field(description="invites others, behind `r_`", examples=["k3JxQ8b2Lm"])
    generation: int = Field(description="by join order, from 1", examples=[1])
    level: int = Field(description="by XP", examples=[12])
    rank: str = Field(description="English name of the rank", examples=["Adept"])
    created_at_ms: int = Field(description="of the first login, Unix milliseconds", examples=[_AT_MS])
    privacy: PrivacySettings = Field(description="who sees what")
    recovery: RecoveryState = Field(description="what would recover it")
    migration: MoveState | None = Field(description="null: none is under way")

    @classmethod
    def of(cls, player: UUID, own: OwnProfile) -> Self:
        """As the service has it."""
        move = None
        if own.move_state is not None:
            move = MoveState(state=own.move_state, expires_at_ms=own.move_expires_at_ms, due_at_ms=own.move_due_at_ms)
        return cls(
            player=player,
            display_name=own.display_name,
            may_rename=not own.renamed_at_ms,
            locale=own.locale,
            telegram_linked=own.telegram_linked,
            premium=own.premium,
            referral_code=own.referral_code,
            generation=own.generation,
            level=rules.level_of(own.xp),
            rank=rank_name(own.xp),
            created_at_ms=own.created_at_ms,
            privacy=PrivacySettings.of(own.privacy),
            recovery=RecoveryState(passphrase_set_at_ms=own.passphrase_set_at_ms, codes=own.recovery_codes),
            migration=move,
        )


class Standing(BaseModel):
    """How far a player has come."""

    level: int = Field(description="by XP", examples=[12])
    rank: str = Field(description="English name of the rank", examples=["Adept"])
    xp: int = Field(description="all experience", examples=[15_300])
    influence: int = Field(description="in its community", examples=[40])
    supporters: int = Field(description="players who support this one", examples=[3])


class Presence(BaseModel):
    """Whether and when a player plays."""

    playing: bool = Field(description="now, or minutes ago", examples=[True])
    last_seen_at_ms: int = Field(description="Unix milliseconds; 0: never", examples=[_AT_MS])


class PublicProfile(BaseModel):
    """A player as others see it."""

    player: UUID = Field(description="public id", examples=[_PLAYER])
    display_name: str = Field(description="name shown to others", examples=["Ada"])
    generation: int = Field(description="by join order, from 1", examples=[1])
    title: str | None = Field(description="that is worn; null: none", examples=["Early bird"])
    community: str | None = Field(description="its name; null: none", examples=["Lisbon"])
    achievements: int = Field(description="how many", examples=[7])
    badges: int = Field(description="how many", examples=[2])
    invited: int = Field(description="players who came by the referral code", examples=[5])
    created_at_ms: int = Field(description="of the first login, Unix milliseconds", examples=[_AT_MS])
    standing: Standing | None = Field(description="null: not for the caller")
    status: Presence | None = Field(description="null: not for the caller")

    @classmethod
    def of(cls, visible: Visible) -> Self:
        """What may be seen."""
        seen = visible.profile
        standing = Standing(
            level=rules.level_of(seen.xp),
            rank=rank_name(seen.xp),
            xp=seen.xp,
            influence=seen.influence,
            supporters=seen.supporters,
        )
        return cls(
            player=seen.player,
            display_name=seen.display_name,
            generation=seen.generation,
            title=seen.title,
            community=seen.community,
            achievements=seen.achievements,
            badges=seen.badges,
            invited=seen.invited,
            created_at_ms=seen.created_at_ms,
            standing=standing if visible.rank else None,
            status=Presence(playing=seen.playing, last_seen_at_ms=seen.last_seen_at_ms) if visible.status else None,
        )


class Erasure(_Body):
    """Meant, and not by mistake."""

    confirm: str = Field(max_length=128, description="the display name of the account", examples=["Ada"])


class NewPassphrase(_Body):
    """A passphrase to be kept."""

    passphrase: str = Field(max_length=256, description=_PASSPHRASE, examples=[_OWN_WORDS])
    old: str | None = Field(
        default=None, max_length=256, description="the present one, where there is one", examples=[_OWN_WORDS]
    )


class RecoveryCodesRequest(_Body):
    """Who has a passphrase shows it."""

    passphrase: str | None = Field(
        default=None, max_length=256, description="the present one, where there is one", examples=[_OWN_WORDS]
    )


class RecoveryCodes(BaseModel):
    """One-time codes; nobody can show them again."""

    codes: list[str] = Field(description="each good once", examples=[["0JmV3nq8aXhT5bYcWfKz"]])
    expires_at_ms: int = Field(description="Unix milliseconds", examples=[_AT_MS])


class LostAccount(_Body):
    """Whose account, who wants it, and exactly one of `passphrase` and `code`."""

    init_data: str = Field(max_length=4_096, description=_INIT_DATA, examples=["<initData>"])
    account: str = Field(min_length=1, max_length=64, description="public id or referral code", examples=["k3JxQ8b2Lm"])
    passphrase: str | None = Field(default=None, max_length=256, description="of the lost account", examples=[None])
    code: str | None = Field(
        default=None,
        max_length=64,
        description="a one-time code of the lost account",
        examples=["0JmV3nq8aXhT5bYcWfKz"],
    )


class Recovered(BaseModel):
    """The account belongs to the new Telegram account now."""

    player: UUID = Field(description="public id", examples=[_PLAYER])


class MoveOffer(BaseModel):
    """To be shown to the new side."""

    code: str = Field(description="for the new side", examples=["0JmV3nq8aXhT5bYcWfKz"])
    expires_at_ms: int = Field(description="Unix milliseconds", examples=[_AT_MS])


class MoveConfirmation(_Body):
    """The new side's word."""

    init_data: str = Field(max_length=4_096, description=_INIT_DATA, examples=["<initData>"])
    code: str = Field(min_length=1, max_length=64, description="from the old side", examples=["0JmV3nq8aXhT5bYcWfKz"])


class Confirmed(BaseModel):
    """The move is under way."""

    due_at_ms: int = Field(description="completed after that, unless the old side cancels", examples=[_AT_MS])
