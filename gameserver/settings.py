"""Settings: environment variables `GAME_*` and a `.env` file, read once, frozen.

Names and defaults: wire protocol, "Defaults and settings". A wrong value is an `OperatorError` that names the variable.
Secrets that are not given in dev are drawn once into the data folder, so that `serve` and `token` agree; production
refuses to start without them.
"""

import enum
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gameserver.addresses import origin_of
from gameserver.errors import OperatorError
from persistence.data_folder import default_data_dir

PREFIX = "GAME_"
ENV_FILE = Path(".env")
MIN_KEY_BYTES = 32  #: of a signing key: as many as SHA-256 gives
_BOT_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{30,64}")
_KID = re.compile(r"^[A-Za-z0-9._-]{1,32}$")

Port = Annotated[int, Field(ge=0, le=65_535)]


class Environment(enum.StrEnum):
    """Where the server runs; decides what may be left out."""

    DEV = "dev"  #: dev login open, secrets drawn
    PRODUCTION = "production"  #: no dev login, every secret given


class TelegramEnvironment(enum.StrEnum):
    """Whose users log in: Telegram's two worlds have users, bots and signing keys of their own."""

    PROD = "prod"  #: everybody's
    TEST = "test"  #: of Telegram's test servers, where anybody can make accounts without a phone


class TransportKind(enum.StrEnum):
    """How players' sockets are served."""

    AUTO = "auto"  #: the gateway where it can be, else the portable one
    GATEWAY = "gateway"  #: one epoll instance for all; Linux, without TLS inside the process
    PORTABLE = "portable"  #: trio-websocket; everywhere


class LogFormat(enum.StrEnum):
    """How log lines look."""

    TEXT = "text"  #: for people
    JSON = "json"  #: for machines


class FlushTarget(enum.StrEnum):
    """Where write-behind goes."""

    POSTGRES = "postgres"  #: the database
    NULL = "null"  #: nowhere: to measure everything but the database


class RateLimitMode(enum.StrEnum):
    """What becomes of whoever does something too often."""

    ON = "on"  #: refused
    DRY_RUN = "dry-run"  #: counted and noted as if refused, and let through
    OFF = "off"  #: nothing is counted


class Settings(BaseSettings):
    """Everything that can be set from outside; `GAME_` + the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True)

    env: Environment = Field(Environment.DEV, description="dev or production")
    host: str = Field("127.0.0.1", description="address of the game socket")
    port: Port = Field(8600, description="port of the game socket; 0 = any free one")
    http_host: str = Field("127.0.0.1", description="address of the HTTP side")
    http_port: Port = Field(8601, description="port of the HTTP side; 0 = any free one")
    public_url: str = Field("", description="public address of the page")
    socket_url: str = Field("", description="public address of the game socket")
    node_url: str = Field("", description="this node's own socket address")
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="origins whose pages may use the socket and HTTP, comma-separated, beside GAME_PUBLIC_URL's own; "
        "empty = any for the socket, none for HTTP",
    )
    tls_cert: Path | None = Field(None, description="certificate chain (PEM) for TLS inside the process")
    tls_key: Path | None = Field(None, description="private key (PEM) to the certificate")
    max_sockets: int = Field(
        18_000,
        ge=1,
        le=1_000_000,
        description="sockets at a time; 18 000 are well above what one core is meant for and fit 20 000 files",
    )
    max_sockets_per_address: int = Field(
        1_000,
        ge=0,
        description="sockets of one IPv4 address or IPv6 /64; 0 = any number, as is right behind a proxy; off for "
        "loopback in dev. 1 000 are more players than share a carrier's address, and few beside all",
    )
    handshakes_per_s: int = Field(
        2_000,
        ge=0,
        description="opening handshakes a second, as many at once; 0 = any number; off for loopback in dev. "
        "2 000 let 10 000 players back within 5 s and are less than what would fill a core",
    )
    rate_limits: RateLimitMode = Field(
        RateLimitMode.ON,
        description="on, dry-run (who would be refused is only counted and noted) or off. Limits per address hold "
        "where GAME_MAX_SOCKETS_PER_ADDRESS is not 0, and in dev not for loopback",
    )
    transport: TransportKind = Field(
        TransportKind.AUTO, description="how sockets are served: auto, gateway (Linux, no TLS inside) or portable"
    )
    drain_s: float = Field(20.0, gt=0, le=600, description="seconds a stop may take")
    database_url: SecretStr | None = Field(None, description="PostgreSQL to use; unset: the embedded one")
    data_dir: Path | None = Field(None, description="folder of the embedded database and drawn secrets")
    node: str = Field("", description="this node's name; default <hostname>:<port>")
    jwt_keys: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default_factory=dict, description="kid:secret,kid:secret; the first signs, all verify"
    )
    bot_token: SecretStr | None = Field(None, description="the bot's token, checks what Telegram signed")
    bot_token_previous: SecretStr | None = Field(None, description="the token before, during a rotation")
    bot_id: int | None = Field(
        None, ge=1, le=2**53 - 1, description="the bot's number: without its token, Telegram's own signature is checked"
    )
    telegram_env: TelegramEnvironment = Field(
        TelegramEnvironment.PROD, description="prod or test: whose key checks Telegram's own signature"
    )
    initdata_max_age_s: int = Field(86_400, ge=0, description="oldest accepted login of Telegram in seconds; 0 = any")
    initdata_max_skew_s: int = Field(
        60, ge=0, le=3_600, description="how far Telegram's clock may be ahead of ours, in seconds"
    )
    emission_scale_pt: int = Field(10**9, ge=1, le=9 * 10**14, description="tokens after which emission has halved")
    launch_date: date | None = Field(
        None,
        description="UTC day of the launch, from which the daily pool's weeks count; unset: the first player's day",
    )
    log_format: LogFormat = Field(LogFormat.TEXT, description="text or json")
    flush_ms: int = Field(250, ge=1, le=250, description="longest wait before state is written")
    dirty_max_bytes: int = Field(
        512 * 1024 * 1024,
        ge=1024 * 1024,
        description="memory that may wait for the database, by a count that is about right; beyond it players can "
        "change nothing. The default is what 200 000 players hold who tap; the machine needs more than that",
    )
    flush_sink: FlushTarget = Field(
        FlushTarget.POSTGRES, description="postgres; null forgets what players do: for measurements in dev"
    )

    _from_command_line: frozenset[str] = PrivateAttr(frozenset())

    @field_validator("origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(origin_of(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            origin_of(value)
        return value

    @field_validator("jwt_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        keys: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            kid, colon, secret = part.partition(":")
            if not colon or not _KID.match(kid) or kid in keys:
                raise ValueError("must be kid:secret,kid:secret with different kids")
            if len(secret.encode()) < MIN_KEY_BYTES:
                raise ValueError(f"the secret of key {kid!r} must have at least {MIN_KEY_BYTES} bytes")
            keys[kid] = secret
        return keys

    @field_validator("data_dir", "tls_cert", "tls_key", "database_url", "launch_date", "bot_id", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def is_dev(self) -> bool:
        """Whether the dev login is open and secrets may be drawn."""
        return self.env is Environment.DEV

    def node_name(self, port: int) -> str:
        """This node's name in the database, unique among live nodes.

        Args:
            port: the one that was bound for the game.
        """
        return self.node or f"{socket.gethostname()}:{port}"

    @property
    def socket_origins(self) -> tuple[str, ...]:
        """Origin headers that may open a socket; empty = any. Where there is a list, our own page is always on it."""
        own = (origin_of(self.public_url),) if self.public_url else ()
        return (*self.origins, *own) if self.origins else ()

    @property
    def data_folder(self) -> Path:
        """The data folder: the one given, else a per-user one."""
        return self.data_dir.expanduser().absolute() if self.data_dir is not None else default_data_dir()

    @property
    def bot_tokens(self) -> tuple[str, ...]:
        """Tokens that may have signed a login, the current one first; malformed ones are left out (see `problems`)."""
        given = (token.get_secret_value() for token in (self.bot_token, self.bot_token_previous) if token)
        return tuple(token for token in given if _BOT_TOKEN.fullmatch(token))

    def problems(self) -> list[str]:
        """What is wrong but does not stop a dev start; production refuses to start on any of it. One sentence each."""
        found = [*self._telegram_problems()]
        if self.flush_sink is FlushTarget.NULL:
            found.append(f"{PREFIX}FLUSH_SINK=null forgets what players do, which is for measurements in dev only.")
        if not self.is_dev:
            if not self.bot_tokens and self.bot_id is None:
                found.append(
                    f"{PREFIX}BOT_TOKEN must be set in production; {PREFIX}BOT_ID where the token is kept elsewhere."
                )
            if not self.jwt_keys:
                found.append(f"{PREFIX}JWT_KEYS must be set in production (kid:secret).")
            if self.database_url is None:
                found.append(f"{PREFIX}DATABASE_URL must be set in production.")
        if (self.tls_cert is None) != (self.tls_key is None):
            found.append(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY must be given together.")
        return found

    def cautions(self) -> list[str]:
        """What may be meant and is most likely not; stops no start. One sentence each."""
        found = []
        numbers = {_number_of(token) for token in self.bot_tokens}
        if len(numbers) > 1:
            found.append(
                f"{PREFIX}BOT_TOKEN and {PREFIX}BOT_TOKEN_PREVIOUS are of different bots; a new token of the same bot "
                "has the same number before the colon."
            )
        if self.telegram_env is TelegramEnvironment.TEST and not self.is_dev:
            found.append(
                f"{PREFIX}TELEGRAM_ENV=test lets in whom Telegram's test servers know, and anybody can be that."
            )
        if self.rate_limits is not RateLimitMode.ON and not self.is_dev:
            found.append(
                f"{PREFIX}RATE_LIMITS={self.rate_limits} refuses nobody, however often he asks or guesses; on does."
            )
        return found

    def _telegram_problems(self) -> Iterator[str]:
        current, previous = (
            token.get_secret_value() if token else "" for token in (self.bot_token, self.bot_token_previous)
        )
        for name, token in (("BOT_TOKEN", current), ("BOT_TOKEN_PREVIOUS", previous)):
            if token and not _BOT_TOKEN.fullmatch(token):
                yield f"{PREFIX}{name} is not a bot token (<number>:<35 characters>); it lets nobody in."
        if not current and _BOT_TOKEN.fullmatch(previous):
            yield f"{PREFIX}BOT_TOKEN_PREVIOUS is for a rotation only; set {PREFIX}BOT_TOKEN to the present token."
        if self.bot_tokens and self.bot_id is not None and self.bot_id != _number_of(self.bot_tokens[0]):
            yield f"{PREFIX}BOT_ID is not the number in {PREFIX}BOT_TOKEN; leave it out where the token is set."


def _number_of(bot_token: str) -> int:
    """The bot's number: what stands before the colon of a well-formed token."""
    return int(bot_token.partition(":")[0])


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Args:
        overrides: fields that the command line gave; they win over the environment.

    Raises:
        OperatorError: a value is wrong, or production lacks a secret; the sentence names the variable.
    """
    try:
        given = {name: value for name, value in overrides.items() if value is not None}
        settings = Settings(**given)
        settings._from_command_line = frozenset(given)  # noqa: SLF001 - our own, kept out of the fields
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX + "…"
        reason = first["msg"].removeprefix("Value error, ")
        raise OperatorError(f"{name} is wrong: {reason}.") from None
    problems = settings.problems()
    if problems and not settings.is_dev:
        raise OperatorError(" ".join(problems))
    return settings


def signing_keys(settings: Settings) -> dict[str, str]:
    """The JWT keys by kid, the signing one first; drawn into the data folder in dev where none are given.

    Raises:
        OperatorError: the data folder cannot be written, or what is in it are no keys.
    """
    if settings.jwt_keys:
        return {kid: secret.get_secret_value() for kid, secret in settings.jwt_keys.items()}
    path = settings.data_folder / "secrets.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"jwt_keys": {"dev": secrets.token_urlsafe(32)}}), encoding="utf-8")
        try:
            os.link(draft, path)  # atomic: of two processes that start at once, one draws for both
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return _keys_in(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(
            f"the data folder {path.parent} cannot be used ({error.strerror}); "
            f"set {PREFIX}DATA_DIR to a writable folder."
        ) from None
    except ValueError:
        raise OperatorError(f"{path} is damaged; delete it (players log in again) and start anew.") from None


def _keys_in(text: str) -> dict[str, str]:
    """The keys of a `secrets.json`, as good as those of `GAME_JWT_KEYS`; ValueError where they are not."""
    drawn = json.loads(text)
    keys = drawn.get("jwt_keys") if isinstance(drawn, dict) else None
    if not isinstance(keys, dict) or not keys:
        raise ValueError("no keys")
    for kid, secret in keys.items():
        if not _KID.match(kid) or not isinstance(secret, str) or len(secret.encode()) < MIN_KEY_BYTES:
            raise ValueError("a key that is none")
    return keys


def setting_sources(settings: Settings) -> list[tuple[str, str, str]]:
    """Every setting as (variable, value as shown, source); secrets are hidden. Order as declared."""
    in_file = _env_file_keys()
    rows = []
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        value = getattr(settings, name)
        if name in settings._from_command_line:  # noqa: SLF001 - our own, kept out of the fields
            source = "command line"
        elif variable in {key.upper() for key in os.environ}:
            source = "environment"
        elif variable in in_file:
            source = ".env"
        else:
            source = "default"
        if name == "jwt_keys":
            shown = ", ".join(f"{kid}:***" for kid in value) or "(drawn into the data folder)"
        elif isinstance(value, SecretStr):
            shown = "***"
        elif isinstance(value, tuple):
            shown = ", ".join(value)
        else:
            shown = "" if value is None else str(value)
        rows.append((variable, shown, source))
    return rows


def unknown_variables() -> list[str]:
    """`GAME_*` names in the environment or `.env` that no setting has: most likely typing errors."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {key.upper() for key in os.environ} | _env_file_keys()
    return sorted(key for key in given if key.startswith(PREFIX) and key not in known)


def _env_file_keys() -> set[str]:
    if not ENV_FILE.is_file():
        return set()
    lines = ENV_FILE.read_text(encoding="utf-8").splitlines()
    return {line.partition("=")[0].removeprefix("export ").strip().upper() for line in lines if "=" in line}
