"""Telegram's side of a login: signs `initData` and the fields of the login widget as its servers do."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BOT_TOKEN = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4"  # published with Telegram's own examples


def signed_init_data(fields: dict[str, str], bot_token: str = BOT_TOKEN) -> str:
    """The query string with its hash. Source: Telegram, "Validating data received via the Mini App"."""
    secret = hmac.digest(b"WebAppData", bot_token.encode(), "sha256")
    return _query({**fields, "hash": hmac.digest(secret, _lines(fields), "sha256").hex()})


def signed_third_party(fields: dict[str, str], key: Ed25519PrivateKey, bot_id: int) -> str:
    """The query string with its signature, without a hash. Source: "Validating data for Third-Party Use"."""
    signature = key.sign(f"{bot_id}:WebAppData\n".encode() + _lines(fields))
    return _query({**fields, "signature": base64.urlsafe_b64encode(signature).decode().rstrip("=")})


def signed_widget(fields: dict[str, str | int], bot_token: str = BOT_TOKEN) -> dict[str, str | int]:
    """The fields of the login widget with their hash. Source: Telegram Login Widget, "Checking authorization"."""
    secret = hashlib.sha256(bot_token.encode()).digest()
    return {**fields, "hash": hmac.digest(secret, _lines(fields), "sha256").hex()}


def _lines(fields: Mapping[str, str | int]) -> bytes:
    return "\n".join(f"{key}={value}" for key, value in sorted(fields.items())).encode()


def _query(fields: Mapping[str, str]) -> str:
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())


def init_data(auth_date_s: int, bot_token: str = BOT_TOKEN, /, *, start_param: str | None = None, **user: Any) -> str:
    """The `initData` of a user, by default Ada with id 42."""
    fields = {"auth_date": str(auth_date_s), "user": json.dumps({"id": 42, "first_name": "Ada"} | user)}
    if start_param is not None:
        fields["start_param"] = start_param
    return signed_init_data(fields, bot_token)
