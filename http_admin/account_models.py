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

    passphrase_set_at_ms: int = Field(description="0: there is none")
    codes: int = Field(description="one-time codes that are good", examples=[8])


class MoveState(BaseModel):
    """A move that is under way."""

    state: str = Field(description="`offered` or `confirmed`", examples=["confirmed"])
    expires_at_ms: int = Field(description="until then the new side may confirm")
    due_at_ms: int = Field(description="until then it may be cancelled; 0 until it is confirmed")


class OwnAccount(BaseModel):
    """An account as its player sees it."""

    player: UUID = Field(description="public id")
    display_name: str = Field(examples=["Ada"])
    may_rename: bool = Field(description="whether the one free renaming is unused")
    locale: str | None = Field(examples=["pt-BR"])
    telegram_linked: bool = Field(description="whether it belongs to a Telegram account")
    premium: bool = Field(description="Telegram Premium")
    referral_code: str = Field(examples=["k3JxQ8b2Lm"])
    generation: int
    level: int
    rank: str = Field(examples=["Adept"])
    created_at_ms: int
    privacy: PrivacySettings
    recovery: RecoveryState
    migration: MoveState | None

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

    level: int
    rank: str = Field(examples=["Adept"])
    xp: int
    influence: int
    supporters: int


class Presence(BaseModel):
    """Whether and when a player plays."""

    playing: bool = Field(description="now, or minutes ago")
    last_seen_at_ms: int = Field(description="0: never")


class PublicProfile(BaseModel):
    """A player as others see it."""

    player: UUID = Field(description="public id")
    display_name: str = Field(examples=["Ada"])
    generation: int
    title: str | None
    community: str | None
    achievements: int
    badges: int
    invited: int
    created_at_ms: int
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

    passphrase: str = Field(max_length=256, description=_PASSPHRASE, examples=["correct horse battery staple"])
    old: str | None = Field(default=None, max_length=256, description="the present one, where there is one")


class RecoveryCodesRequest(_Body):
    """Who has a passphrase shows it."""

    passphrase: str | None = Field(default=None, max_length=256, description="the present one, where there is one")


class RecoveryCodes(BaseModel):
    """One-time codes; nobody can show them again."""

    codes: list[str] = Field(examples=[["0JmV3nq8aXhT5bYcWfKz"]])
    expires_at_ms: int


class LostAccount(_Body):
    """Whose account, who wants it, and exactly one of `passphrase` and `code`."""

    init_data: str = Field(max_length=4_096, description=_INIT_DATA)
    account: str = Field(min_length=1, max_length=64, description="public id or referral code", examples=["k3JxQ8b2Lm"])
    passphrase: str | None = Field(default=None, max_length=256, description="of the lost account")
    code: str | None = Field(default=None, max_length=64, description="a one-time code of the lost account")


class Recovered(BaseModel):
    """The account belongs to the new Telegram account now."""

    player: UUID = Field(description="public id")


class MoveOffer(BaseModel):
    """To be shown to the new side."""

    code: str = Field(examples=["0JmV3nq8aXhT5bYcWfKz"])
    expires_at_ms: int


class MoveConfirmation(_Body):
    """The new side's word."""

    init_data: str = Field(max_length=4_096, description=_INIT_DATA)
    code: str = Field(min_length=1, max_length=64, description="from the old side")


class Confirmed(BaseModel):
    """The move is under way."""

    due_at_ms: int = Field(description="completed after that, unless the old side cancels")
