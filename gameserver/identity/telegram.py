"""Telegram's proof of who somebody is, in the two forms it comes in.

* **`initData`** of a Mini App, checked with the bot's token (HMAC-SHA256, key `HMAC("WebAppData", token)`, over every
  field but `hash`) or, where the token is not at hand, with Telegram's own key (Ed25519, over `<bot id>:WebAppData` and
  every field but `hash` and `signature`).
* **The login widget's fields**, of a page outside Telegram, checked with the bot's token (HMAC-SHA256, key
  `SHA256(token)`, over every field but `hash`).

What is judged is what was received, decoded once; a form that could be read in two ways (a key twice, a line break that
would shift the signed lines, half an escape) is refused before any signature is computed. Judged in this order: form,
signature, content, age. Fields that nobody knows are signed like the others, and ignored. Sources: Telegram,
"Validating data received via the Mini App", "Validating data for Third-Party Use", "Checking authorization" of the
login widget.
"""

import base64
import enum
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, Self
from urllib.parse import unquote_to_bytes

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gameserver.errors import Unauthenticated
from gameserver.settings import Settings, TelegramEnvironment

MAX_INIT_DATA_BYTES: Final = 3_500  #: fits a HELLO of 4 096 bytes with room for the rest; a widget's fields as well

_MAX_USER_ID: Final = 2**53 - 1
_FIELD: Final = re.compile(r"([^=&%+]+)=((?:[^&%]|%[0-9A-Fa-f]{2})*)", re.ASCII)
_WIDGET_KEY: Final = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_UNIX_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_USER_ID: Final = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_SIGNATURE: Final = re.compile(r"([A-Za-z0-9_-]{86})(?:==)?", re.ASCII)
# Published in "Validating data for Third-Party Use".
_TELEGRAM_KEYS: Final[Mapping[TelegramEnvironment, Ed25519PublicKey]] = MappingProxyType(
    {
        environment: Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        for environment, key in (
            (TelegramEnvironment.PROD, "e7bf03a2fa4602af4580703d88dda5bb59f32ed8b02a56c187fe7d34caed242d"),
            (TelegramEnvironment.TEST, "40055058a4ee38156a06562e52eece92a771bcd8346a8c4615cb7376eddf72ec"),
        )
    }
)


class InitDataFault(enum.StrEnum):
    """Why a login of Telegram was refused."""

    MALFORMED = "malformed"  #: not the form Telegram gives it, or not about a user
    MISSING_HASH = "missing_hash"  #: nothing to check with a bot's token
    BAD_HASH = "bad_hash"  #: not signed with any of our bot tokens
    MISSING_SIGNATURE = "missing_signature"  #: nothing to check with Telegram's key
    BAD_SIGNATURE = "bad_signature"  #: not signed by Telegram for our bot
    EXPIRED = "expired"  #: signed too long ago
    FUTURE = "future"  #: signed further ahead than clocks differ


class BadInitData(Unauthenticated):
    """A login of Telegram that proves nothing.

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
    language_code: str  #: "" where it is not told
    is_premium: bool | None  #: None where it is not told: by the login widget
    start_param: str  #: of the link that opened the Mini App, "" if none
    auth_date_s: int  #: when Telegram signed it, Unix seconds
    digest: bytes  #: SHA-256 of what was signed: the same when the same is shown again, however it is written


class _User(msgspec.Struct, frozen=True):
    # The part of Telegram's WebAppUser that the game uses; what else it holds is ignored.
    id: Annotated[int, msgspec.Meta(ge=1, le=_MAX_USER_ID)]
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    is_premium: bool = False


@dataclass(frozen=True, slots=True)
class TelegramVerifier:
    """Whose signature counts, and how old it may be.

    With tokens they alone count; without, `bot_id` and Telegram's key; with neither, nothing does.

    Args:
        bot_tokens: the tokens that may have signed: the current one, and the previous one during a rotation.
        bot_id: the bot whose `initData` Telegram's key checks; only used without tokens.
        environment: whose key that is; never both.
        max_age_s: how old a login may be; 0 = no limit.
        max_skew_s: how far ahead of ours Telegram's clock may be.
    """

    bot_tokens: tuple[str, ...] = ()
    bot_id: int | None = None
    environment: TelegramEnvironment = TelegramEnvironment.PROD
    max_age_s: int = 86_400
    max_skew_s: int = 60

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings want it."""
        return cls(
            bot_tokens=settings.bot_tokens,
            bot_id=settings.bot_id,
            environment=settings.telegram_env,
            max_age_s=settings.initdata_max_age_s,
            max_skew_s=settings.initdata_max_skew_s,
        )

    def init_data(self, raw: str, now_s: int) -> TelegramLogin:
        """Check an `initData` and read it.

        Args:
            raw: the string as `Telegram.WebApp.initData` gives it, at most `MAX_INIT_DATA_BYTES`.
            now_s: Unix seconds.

        Raises:
            BadInitData: it proves nothing; `fault` says why.
        """
        fields = _fields(raw)
        by_token = bool(self.bot_tokens) or self.bot_id is None
        given = _proof(fields, "hash") if by_token else _proof(fields, "signature")
        auth_date_s = _auth_date_s(fields)
        if by_token:
            self._check_hash(fields, given, [hmac.digest(b"WebAppData", t.encode(), "sha256") for t in self.bot_tokens])
            fields.pop("signature", None)
        else:
            fields.pop("hash", None)
            self._check_signature(fields, given)
        user = _user(fields)
        self._check_age(auth_date_s, now_s)
        return TelegramLogin(
            user_id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            username=user.username,
            language_code=user.language_code,
            is_premium=user.is_premium,
            start_param=fields.get("start_param", ""),
            auth_date_s=auth_date_s,
            digest=hashlib.sha256(_lines(fields)).digest(),
        )

    def widget(self, given_fields: Mapping[str, str | int], now_s: int) -> TelegramLogin:
        """Check what the login widget gave to a page, and read it; only a bot's token can check it.

        Args:
            given_fields: all of them, numbers as numbers or as their digits.
            now_s: Unix seconds.

        Raises:
            BadInitData: they prove nothing; `fault` says why.
        """
        fields = _widget_fields(given_fields)
        given = _proof(fields, "hash")
        auth_date_s = _auth_date_s(fields)
        self._check_hash(fields, given, [hashlib.sha256(token.encode()).digest() for token in self.bot_tokens])
        if not _USER_ID.fullmatch(fields.get("id", "")) or int(fields["id"]) > _MAX_USER_ID:
            raise BadInitData(InitDataFault.MALFORMED, "the widget's fields do not name their user")
        self._check_age(auth_date_s, now_s)
        return TelegramLogin(
            user_id=int(fields["id"]),
            first_name=fields.get("first_name", ""),
            last_name=fields.get("last_name", ""),
            username=fields.get("username", ""),
            language_code="",
            is_premium=None,
            start_param="",
            auth_date_s=auth_date_s,
            digest=hashlib.sha256(_lines(fields)).digest(),
        )

    def _check_hash(self, fields: Mapping[str, str], given: str, keys: list[bytes]) -> None:
        signed = _lines(fields)
        matches = False
        for key in keys:  # all of them, so that time does not tell which one matched
            matches |= hmac.compare_digest(hmac.digest(key, signed, "sha256").hex().encode(), given.encode())
        if not matches:
            raise BadInitData(InitDataFault.BAD_HASH, "the login is not signed by this bot")

    def _check_signature(self, fields: Mapping[str, str], given: str) -> None:
        try:
            _TELEGRAM_KEYS[self.environment].verify(
                _signature_bytes(given), f"{self.bot_id}:WebAppData\n".encode() + _lines(fields)
            )
        except InvalidSignature:
            raise BadInitData(InitDataFault.BAD_SIGNATURE, "Telegram has not signed this login for this bot") from None

    def _check_age(self, auth_date_s: int, now_s: int) -> None:
        if auth_date_s > now_s + self.max_skew_s:
            raise BadInitData(InitDataFault.FUTURE, "the login was signed in the future")
        if self.max_age_s and now_s - auth_date_s > self.max_age_s:
            raise BadInitData(InitDataFault.EXPIRED, f"the login is older than {self.max_age_s} s: open the app again")


def _lines(fields: Mapping[str, str]) -> bytes:
    """Telegram's data-check-string."""
    return "\n".join(f"{key}={fields[key]}" for key in sorted(fields)).encode()


def _proof(fields: dict[str, str], name: str) -> str:
    """Take the hash or the signature out of the fields. Raises `BadInitData` where there is none."""
    if given := fields.pop(name, ""):
        return given
    raise BadInitData(InitDataFault(f"missing_{name}"), f"the login has no {name}")


def _auth_date_s(fields: Mapping[str, str]) -> int:
    auth_date = fields.get("auth_date", "")
    if not _UNIX_SECONDS.fullmatch(auth_date):
        raise BadInitData(InitDataFault.MALFORMED, "auth_date of the login is not a time")
    return int(auth_date)


def _signature_bytes(given: str) -> bytes:
    """The 64 bytes of a base64url signature. Raises `InvalidSignature` for any text but the one that means them."""
    match = _SIGNATURE.fullmatch(given)
    if match is None:
        raise InvalidSignature
    signature = base64.urlsafe_b64decode(f"{match[1]}==")
    if base64.urlsafe_b64encode(signature).decode() != f"{match[1]}==":
        raise InvalidSignature
    return signature


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


def _widget_fields(given: Mapping[str, str | int]) -> dict[str, str]:
    """The fields of the login widget as the texts that were signed. Raises `BadInitData` as `_fields` does."""
    fields = {key: str(value) for key, value in given.items()}
    try:
        size = sum(len(key) + len(value.encode()) for key, value in fields.items())
    except UnicodeEncodeError:
        raise BadInitData(InitDataFault.MALFORMED, "a value of the widget is not UTF-8") from None
    if size > MAX_INIT_DATA_BYTES:
        raise BadInitData(InitDataFault.MALFORMED, f"the widget's fields have at most {MAX_INIT_DATA_BYTES} bytes")
    for key, value in fields.items():
        if not _WIDGET_KEY.fullmatch(key) or "\n" in value:
            raise BadInitData(InitDataFault.MALFORMED, "a key or a line break that no field of the widget has")
    return fields


def _user(fields: dict[str, str]) -> _User:
    try:
        return msgspec.json.decode(fields.get("user", ""), type=_User)
    except (msgspec.DecodeError, RecursionError):
        raise BadInitData(InitDataFault.MALFORMED, "init data does not name its user") from None
