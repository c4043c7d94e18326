"""Access tokens: JWT, HS256 and nothing else, good for 15 minutes.

The first key signs, every key verifies, so a new key is put in front and the old one is taken away when its last token
has expired. The token names the player by public id and the login by session id; nothing is looked up to verify it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import jwt

from gameserver.errors import OperatorError, Unauthenticated
from gameserver.settings import MIN_KEY_BYTES

ISSUER: Final = "ppj"
AUDIENCE: Final = "ppj.game"
ACCESS_TTL_S: Final = 900

MAX_TOKEN_CHARS: Final = 2_048  #: ours have some 400
MAX_CLOCK_SKEW_S: Final = 60  #: how far ahead of ours the clock of the node that signed may be
TOKEN_LIFE_S: Final = ACCESS_TTL_S + MAX_CLOCK_SKEW_S  #: no token is good for longer than that after it was issued

_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ["exp", "iat", "sub", "sid", "aud", "iss"]


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says."""

    player: UUID  #: public id
    session: UUID  #: the login it was issued to
    expires_at_s: int  #: Unix seconds


class TokenIssuer:
    """Signs and verifies access tokens.

    Args:
        keys: secret by key id, in the order of the setting; the first signs, all verify.
        ttl_s: how long a token is good.

    Raises:
        OperatorError: no key, or one with less than 32 bytes.
    """

    def __init__(self, keys: Mapping[str, str], *, ttl_s: int = ACCESS_TTL_S) -> None:
        if not keys:
            raise OperatorError("GAME_JWT_KEYS is empty: give at least one key as kid:secret.")
        for kid, secret in keys.items():
            if len(secret.encode()) < MIN_KEY_BYTES:
                raise OperatorError(
                    f"The key {kid!r} in GAME_JWT_KEYS is shorter than {MIN_KEY_BYTES} bytes: "
                    "draw a longer one, for example with `openssl rand -base64 32`."
                )
        self._keys: Mapping[str, bytes] = MappingProxyType({kid: secret.encode() for kid, secret in keys.items()})
        self._signing_kid = next(iter(keys))
        self.ttl_s = ttl_s

    def issue(self, player_public_id: UUID, session_id: UUID, now_s: int, *, ttl_s: int | None = None) -> str:
        """A signed token.

        Args:
            player_public_id: becomes `sub`.
            session_id: becomes `sid`.
            now_s: Unix seconds.
            ttl_s: how long it is good; None = the issuer's own.
        """
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(player_public_id),
            "sid": str(session_id),
            "iat": now_s,
            "exp": now_s + (self.ttl_s if ttl_s is None else ttl_s),
        }
        kid = self._signing_kid
        return jwt.encode(claims, self._keys[kid], algorithm=_ALGORITHM, headers={"kid": kid})

    def verify(self, token: str, now_s: int) -> AccessClaims:
        """What a token says, if one of our keys signed it and it is still good.

        Args:
            token: as the client sent it.
            now_s: Unix seconds.

        Raises:
            Unauthenticated: it does not verify; `expired` is true if time is all that is wrong with it.
        """
        claims = self._signed_claims(token)
        expires_at_s, issued_at_s, not_before_s = claims["exp"], claims["iat"], claims.get("nbf", 0)
        if not all(type(time_s) is int for time_s in (expires_at_s, issued_at_s, not_before_s)):
            raise Unauthenticated("the times of the access token are not whole seconds")
        try:
            player, session = UUID(claims["sub"]), UUID(claims["sid"])
        except (ValueError, TypeError, AttributeError):
            raise Unauthenticated("the access token names no player and session") from None
        if max(issued_at_s, not_before_s) > now_s + MAX_CLOCK_SKEW_S:
            raise Unauthenticated("the access token is not yet valid")
        if expires_at_s <= now_s:
            raise Unauthenticated("the access token has expired", expired=True)
        return AccessClaims(player, session, expires_at_s)

    def _signed_claims(self, token: str) -> dict[str, Any]:
        """All claims, their times unchecked: PyJWT would read the machine's clock, and the time here is an argument."""
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise Unauthenticated("the access token is not a JWT")
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise Unauthenticated("the access token is signed with a key that is not ours")
            return jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": _REQUIRED,
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidTokenError, RecursionError):
            raise Unauthenticated("the access token does not verify") from None
