"""Telegram's proof of who opened the Mini App: `initData`, checked with the bot's token.

The raw query string is judged as it was received and decoded once; a form that could be read in two ways (a key twice,
a line break that would shift the signed lines, half an escape) is refused before any signature is computed. Judged in
this order: form, signature, content, age. Source: Telegram, "Validating data received via the Mini App".
"""

import enum
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import unquote_to_bytes

import msgspec

from gameserver.errors import Unauthenticated

MAX_INIT_DATA_BYTES: Final = 3_500  #: fits a HELLO of 4 096 bytes with room for the rest
MAX_CLOCK_SKEW_S: Final = 60  #: how far ahead of ours Telegram's clock may be

_FIELD: Final = re.compile(r"([^=&%+]+)=((?:[^&%]|%[0-9A-Fa-f]{2})*)", re.ASCII)
_UNIX_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)


class InitDataFault(enum.StrEnum):
    """Why an `initData` was refused."""

    MALFORMED = "malformed"  #: not the form Telegram gives it, or not about a user
    MISSING_HASH = "missing_hash"  #: nothing to check
    BAD_HASH = "bad_hash"  #: not signed with any of our bot tokens
    EXPIRED = "expired"  #: signed too long ago
    FUTURE = "future"  #: signed further ahead than clocks differ


class BadInitData(Unauthenticated):
    """An `initData` that proves nothing.

    Args:
        fault: why.
        message: one sentence for the developer of the client; never holds any of the data.
    """

    def __init__(self, fault: InitDataFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class TelegramLogin:
    """What Telegram vouches for."""

    user_id: int
    first_name: str
    last_name: str
    username: str
    language_code: str
    is_premium: bool
    start_param: str  #: of the link that opened the Mini App, "" if none
    auth_date_s: int  #: when Telegram signed it, Unix seconds
    hash: str  #: the signature: the same for the same `initData`


class _User(msgspec.Struct, frozen=True):
    # The part of Telegram's WebAppUser that the game uses; what else it holds is ignored.
    id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    is_premium: bool = False


def verify_init_data(raw: str, *, bot_tokens: Sequence[str], now_s: int, max_age_s: int) -> TelegramLogin:
    """Check an `initData` by HMAC and read it.

    Args:
        raw: the string as `Telegram.WebApp.initData` gives it, at most `MAX_INIT_DATA_BYTES`.
        bot_tokens: the tokens that may have signed it: the current one, and the previous one during a rotation.
        now_s: Unix seconds.
        max_age_s: how old it may be; 0 = no limit.

    Returns:
        Who logged in.

    Raises:
        BadInitData: it proves nothing; `fault` says why.
    """
    fields = _fields(raw)
    given = fields.pop("hash", "")
    if not given:
        raise BadInitData(InitDataFault.MISSING_HASH, "init data has no hash")
    if not _UNIX_SECONDS.fullmatch(fields.get("auth_date", "")):
        raise BadInitData(InitDataFault.MALFORMED, "auth_date of the init data is not a time")
    if not _is_signed(fields, given, bot_tokens):
        raise BadInitData(InitDataFault.BAD_HASH, "init data is not signed by this bot")
    user = _user(fields)
    auth_date_s = int(fields["auth_date"])
    if auth_date_s > now_s + MAX_CLOCK_SKEW_S:
        raise BadInitData(InitDataFault.FUTURE, "init data was signed in the future")
    if max_age_s and now_s - auth_date_s > max_age_s:
        raise BadInitData(InitDataFault.EXPIRED, f"init data is older than {max_age_s} s: open the app again")
    return TelegramLogin(
        user_id=user.id,
        first_name=user.first_name,
        last_name=user.last_name,
        username=user.username,
        language_code=user.language_code,
        is_premium=user.is_premium,
        start_param=fields.get("start_param", ""),
        auth_date_s=auth_date_s,
        hash=given,
    )


def _fields(raw: str) -> dict[str, str]:
    """The decoded fields of the query string. Raises `BadInitData` for any form that could be read in two ways."""
    if len(raw) > MAX_INIT_DATA_BYTES or not raw.isascii():
        raise BadInitData(
            InitDataFault.MALFORMED, f"init data is a query string of at most {MAX_INIT_DATA_BYTES} ASCII characters"
        )
    fields: dict[str, str] = {}
    for part in raw.split("&"):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise BadInitData(InitDataFault.MALFORMED, "init data is not a query string")
        key = match[1]
        try:
            value = unquote_to_bytes(match[2].replace("+", " ")).decode()
        except UnicodeDecodeError:
            raise BadInitData(InitDataFault.MALFORMED, "a value of the init data is not UTF-8") from None
        if key in fields:
            raise BadInitData(InitDataFault.MALFORMED, "a key of the init data comes twice")
        if "\n" in key or "\n" in value:
            raise BadInitData(InitDataFault.MALFORMED, "a line break in the init data")
        fields[key] = value
    return fields


def _is_signed(fields: dict[str, str], given: str, bot_tokens: Sequence[str]) -> bool:
    signed = "\n".join(f"{key}={fields[key]}" for key in sorted(fields)).encode()
    matches = False
    for token in bot_tokens:  # all of them, so that time does not tell which one matched
        secret = hmac.digest(b"WebAppData", token.encode(), "sha256")
        matches |= hmac.compare_digest(hmac.digest(secret, signed, "sha256").hex().encode(), given.encode())
    return matches


def _user(fields: dict[str, str]) -> _User:
    try:
        return msgspec.json.decode(fields.get("user", ""), type=_User)
    except (msgspec.DecodeError, RecursionError):
        raise BadInitData(InitDataFault.MALFORMED, "init data does not name its user") from None
