"""How long a comparison takes tells nothing of a secret: by what the code is, not by a stopwatch.

A secret is compared by `hmac.compare_digest`, or it is not compared at all but looked up by its hash: an attacker who
measures the look-up learns about a hash that cannot be chosen.
"""

import ast
import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gameserver.clock import ManualClock
from gameserver.errors import Unauthenticated
from gameserver.identity.telegram import BadInitData, TelegramVerifier
from gameserver.identity.tokens import TokenIssuer
from persistence.account_store import AccountRow
from tests.fakes.front_desk import front_desk
from tests.fakes.loopback_game import KEY
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.telegram import BOT_TOKEN, signed_init_data

ROOT = Path(__file__).parents[2]
SECRET = re.compile(
    r"(?:^|_)(?:token|secret|digest|hash|hmac|mac|seal|signature|passphrase|password|code|key|nonce|proof)s?$"
)
COMPARISONS = (ast.Eq, ast.NotEq)
#: What is compared and has such a name, but is no secret: file → names.
NO_SECRETS: dict[str, set[str]] = {
    "*": {"kid", "returncode", "status_code", "code", "key"},  # of errors, processes and mappings
}


def name_of(node: ast.expr) -> str:
    """The last name in an expression: of a variable, an attribute, a call or an item."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            inner = name_of(function)
            return inner if SECRET.search(inner) else name_of(node.args[0]) if node.args else inner
        case ast.Subscript(value=value, slice=ast.Constant(value=str(item))):
            return item or name_of(value)
        case ast.Subscript(value=value) | ast.Await(value=value):
            return name_of(value)
        case _:
            return ""


def compared_secrets(source: str, allowed: set[str]) -> Iterator[tuple[int, str]]:
    """Lines in which what is named like a secret is compared with `==` or `!=`, but for constants."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare) or not any(isinstance(operator, COMPARISONS) for operator in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant | ast.List | ast.Tuple) for side in sides):
            continue  # "is there any", or a name that stands in the source
        for side in sides:
            name = name_of(side)
            if SECRET.search(name.lower()) and name not in allowed:
                yield node.lineno, name


def test_no_secret_is_compared_with_an_operator() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in ("gameserver/identity", "gameserver/edge", "http_admin")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in compared_secrets(path.read_text(encoding="utf-8"), NO_SECRETS["*"])
    ]
    assert found == []


@pytest.mark.parametrize(
    "bad",
    [
        "refresh_token == given",
        "given != row.refresh_hash",
        "hashlib.sha256(passphrase).digest() == stored",
        "fields['hash'] == expected",
        "_hash(token) == stored",
        "row.recovery_code == body.recovery_code",
    ],
)
def test_a_secret_that_is_compared_with_an_operator_is_found(bad: str) -> None:
    assert list(compared_secrets(f"if {bad}: pass", NO_SECRETS["*"]))


@pytest.mark.parametrize(
    "good", ["hmac.compare_digest(token, given)", "token == ''", "error.code == other.code", "len(fields) == 2"]
)
def test_what_compares_no_secret_is_let_through(good: str) -> None:
    assert list(compared_secrets(f"if {good}: pass", NO_SECRETS["*"])) == []


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """What has gone through `hmac.compare_digest`."""
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: Any, other: Any) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    return seen


def test_a_signed_login_is_compared_with_every_token_whichever_matches(compared: list[tuple[bytes, bytes]]) -> None:
    now_s = 1_767_225_600
    old = BOT_TOKEN.replace("AAHI", "AAFZ")
    verifier = TelegramVerifier(bot_tokens=(BOT_TOKEN, old))
    fields = {"auth_date": str(now_s), "user": '{"id": 42, "first_name": "Ada"}'}
    right = signed_init_data(fields)
    wrong = right[:-64] + "0" * 64
    nearly = right[:-1] + ("0" if right[-1] != "0" else "1")
    for data, is_good in ((right, True), (signed_init_data(fields, old), True), (wrong, False), (nearly, False)):
        compared.clear()
        try:
            verifier.init_data(data, now_s)
        except BadInitData:
            assert not is_good
        else:
            assert is_good
        assert len(compared) == 2, "as much work whichever token matched, or none"
        assert {len(part) for pair in compared for part in pair} == {64}


def test_an_access_token_is_compared_in_constant_time(compared: list[tuple[bytes, bytes]]) -> None:
    issuer = TokenIssuer({"test": KEY})
    token = issuer.issue(UUID(int=1), UUID(int=2), 0)
    issuer.verify(token, 0)
    assert len(compared) == 1
    with pytest.raises(Unauthenticated):
        issuer.verify(token[:-4] + "AAAA", 0)
    assert len(compared) == 2


class Recording(MemoryAccounts):
    """Remembers by what it was asked for refresh tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    async def rotate_refresh(
        self, old_hash: bytes, new_hash: bytes, now_ms: int, refresh_ttl_s: int, address: str, address_hash: str
    ) -> AccountRow | None:
        self.asked += [old_hash, new_hash]
        return await super().rotate_refresh(old_hash, new_hash, now_ms, refresh_ttl_s, address, address_hash)


async def test_a_refresh_token_is_looked_up_by_its_hash_and_stored_as_nothing_else() -> None:
    clock, store = ManualClock(), Recording()
    accounts = front_desk(store, TokenIssuer({"test": KEY}), clock, dev=True)
    first = (await accounts.login_dev("ada")).refresh
    second = (await accounts.refresh(first)).refresh
    hashes = [hashlib.sha256(token.encode()).digest() for token in (first, second)]
    assert store.asked == hashes
    assert [one for session in store.sessions.values() for one in session.hashes] == hashes
    assert first not in repr(vars(store))
    assert second not in repr(vars(store))
    with pytest.raises(Unauthenticated):
        await accounts.refresh("a guess")
    assert len(store.asked[-2]) == 32, "a guess is hashed like any other"
