"""Telegram's side of a login: signs `initData` as its servers do."""

import hmac
import json
from typing import Any
from urllib.parse import quote

BOT_TOKEN = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4"  # published with Telegram's own examples


def signed_init_data(fields: dict[str, str], bot_token: str = BOT_TOKEN) -> str:
    """The query string with its hash. Source: Telegram, "Validating data received via the Mini App"."""
    lines = "\n".join(f"{key}={value}" for key, value in sorted(fields.items()))
    secret = hmac.digest(b"WebAppData", bot_token.encode(), "sha256")
    signature = hmac.digest(secret, lines.encode(), "sha256").hex()
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in {**fields, "hash": signature}.items())


def init_data(auth_date_s: int, bot_token: str = BOT_TOKEN, /, *, start_param: str | None = None, **user: Any) -> str:
    """The `initData` of a user, by default Ada with id 42."""
    fields = {"auth_date": str(auth_date_s), "user": json.dumps({"id": 42, "first_name": "Ada"} | user)}
    if start_param is not None:
        fields["start_param"] = start_param
    return signed_init_data(fields, bot_token)
