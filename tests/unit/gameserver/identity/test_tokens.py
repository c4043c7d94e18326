import base64
import json
from typing import Any
from uuid import UUID

import jwt
import pytest

from gameserver.errors import OperatorError, Unauthenticated
from gameserver.identity.tokens import ACCESS_TTL_S, AccessClaims, TokenIssuer

NOW_S = 1_767_225_600  # on purpose not the present: the machine's clock must not matter
PLAYER = UUID("11111111-2222-3333-4444-555555555555")
SESSION = UUID("66666666-7777-8888-9999-aaaaaaaaaaaa")
OLD = "the-older-key-of-at-least-32-bytes!!"
NEW = "the-newer-key-of-at-least-32-bytes!!"

CLAIMS: dict[str, Any] = {
    "iss": "ppj",
    "aud": "ppj.game",
    "sub": str(PLAYER),
    "sid": str(SESSION),
    "iat": NOW_S,
    "exp": NOW_S + 900,
}


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer({"k1": OLD})


def forged(claims: dict[str, Any], *, key: str = OLD, algorithm: str = "HS256", kid: Any = "k1") -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def refused(issuer: TokenIssuer, token: str, now_s: int = NOW_S) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as raised:
        issuer.verify(token, now_s)
    return raised.value


def part(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()


def test_what_is_issued_verifies_and_says_the_same(issuer: TokenIssuer) -> None:
    token = issuer.issue(PLAYER, SESSION, NOW_S)
    assert issuer.verify(token, NOW_S) == AccessClaims(PLAYER, SESSION, NOW_S + ACCESS_TTL_S)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    assert jwt.decode(token, options={"verify_signature": False}) == CLAIMS


@pytest.mark.parametrize("now_s", [0, NOW_S, 4_000_000_000], ids=["1970", "2026", "2096"])
def test_time_is_what_the_caller_says(issuer: TokenIssuer, now_s: int) -> None:
    token = issuer.issue(PLAYER, SESSION, now_s, ttl_s=10)
    assert issuer.verify(token, now_s + 9).expires_at_s == now_s + 10
    assert refused(issuer, token, now_s + 10).expired


def test_a_shorter_life_for_all_tokens() -> None:
    issuer = TokenIssuer({"k1": OLD}, ttl_s=5)
    assert issuer.verify(issuer.issue(PLAYER, SESSION, NOW_S), NOW_S).expires_at_s == NOW_S + 5


def test_the_first_key_signs_and_all_verify() -> None:
    before, during, after = TokenIssuer({"k1": OLD}), TokenIssuer({"k2": NEW, "k1": OLD}), TokenIssuer({"k2": NEW})
    old, new = before.issue(PLAYER, SESSION, NOW_S), during.issue(PLAYER, SESSION, NOW_S)
    assert jwt.get_unverified_header(new)["kid"] == "k2"
    assert during.verify(old, NOW_S) == during.verify(new, NOW_S) == after.verify(new, NOW_S)
    assert not refused(after, old).expired
    assert not refused(before, new).expired


@pytest.mark.parametrize("missing", CLAIMS)
def test_every_claim_is_required(issuer: TokenIssuer, missing: str) -> None:
    claims = {claim: value for claim, value in CLAIMS.items() if claim != missing}
    assert not refused(issuer, forged(claims)).expired


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": ["ppj.game"]},
        {"aud": ["ppj.game", "other"]},
        {"sub": "not a uuid"},
        {"sid": "not a uuid"},
        {"sid": 5},
        {"sid": ["x"]},
        {"exp": "soon"},
        {"exp": NOW_S + 900.5},
        {"exp": True},
        {"exp": None},
        {"iat": "now"},
        {"iat": NOW_S + 61},
        {"nbf": NOW_S + 61},
        {"nbf": "now"},
    ],
    ids=repr,
)
def test_a_wrong_claim_is_refused_though_we_signed_it(issuer: TokenIssuer, wrong: dict[str, Any]) -> None:
    assert not refused(issuer, forged(CLAIMS | wrong)).expired


def test_clocks_of_nodes_may_differ_by_a_minute(issuer: TokenIssuer) -> None:
    assert issuer.verify(forged(CLAIMS | {"iat": NOW_S + 60, "nbf": NOW_S + 60}), NOW_S).player == PLAYER


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_algorithm_is_pinned(issuer: TokenIssuer, algorithm: str) -> None:
    refused(issuer, forged(CLAIMS, algorithm=algorithm, key=OLD * 2))
    refused(TokenIssuer({"k1": OLD * 2}), forged(CLAIMS, algorithm=algorithm, key=OLD * 2))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "hs256", "RS256", "ES256", ""])
def test_a_header_cannot_choose_its_algorithm(issuer: TokenIssuer, algorithm: str) -> None:
    signature = issuer.issue(PLAYER, SESSION, NOW_S).rsplit(".", 1)[1]
    head = part(json.dumps({"alg": algorithm, "kid": "k1", "typ": "JWT"}))
    refused(issuer, f"{head}.{part(json.dumps(CLAIMS))}.")
    refused(issuer, f"{head}.{part(json.dumps(CLAIMS))}.{signature}")


@pytest.mark.parametrize("kid", ["k2", "", "../k1"])
def test_an_unknown_key_id_is_refused(issuer: TokenIssuer, kid: str) -> None:
    refused(issuer, forged(CLAIMS, kid=kid))


def test_a_key_must_be_named(issuer: TokenIssuer) -> None:
    refused(issuer, jwt.encode(CLAIMS, OLD, algorithm="HS256"))


def test_the_wrong_key_under_a_known_id_is_refused(issuer: TokenIssuer) -> None:
    refused(issuer, forged(CLAIMS, key=NEW))
    expired = forged(CLAIMS | {"exp": NOW_S - 1}, key=NEW)
    assert not refused(issuer, expired).expired, "a forged token must not be told apart by its age"


JUNK = {
    "empty": "",
    "dots": "..",
    "words": "a.b.c",
    "no signature": f"{part('{}')}.{part('{}')}",
    "header is a list": f"{part('[]')}.e30.xx",
    "header nests deep": f"{part('[' * 1_400)}.e30.xx",
    "kid is a list": f"{part(json.dumps({'alg': 'HS256', 'kid': ['k1']}))}.e30.xx",
    "kid is a map": f"{part(json.dumps({'alg': 'HS256', 'kid': {'k1': 1}}))}.e30.xx",
    "alg is a list": f"{part(json.dumps({'alg': ['HS256'], 'kid': 'k1'}))}.e30.xx",
    "crit": f"{part(json.dumps({'alg': 'HS256', 'kid': 'k1', 'crit': ['x']}))}.e30.xx",
    "not ASCII": "é.é.é",
    "surrogate": "\ud800.a.b",
    "long": "a" * 100_000,
}


@pytest.mark.parametrize("token", JUNK.values(), ids=JUNK.keys())
def test_junk_is_refused(issuer: TokenIssuer, token: str) -> None:
    assert not refused(issuer, token).expired


def test_a_token_changed_in_any_place_is_refused(issuer: TokenIssuer) -> None:
    token = issuer.issue(PLAYER, SESSION, NOW_S)
    for at in range(0, len(token) - 1, 7):  # the last character has bits that base64 ignores
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        refused(issuer, changed)


@pytest.mark.parametrize("keys", [{}, {"k1": "short"}, {"k1": OLD, "k2": "x" * 31}], ids=["none", "short", "second"])
def test_keys_that_protect_nothing_are_refused_with_advice(keys: dict[str, str]) -> None:
    with pytest.raises(OperatorError, match="GAME_JWT_KEYS"):
        TokenIssuer(keys)


def test_bytes_of_a_key_count_not_its_characters() -> None:
    assert TokenIssuer({"k1": "é" * 16}).ttl_s == ACCESS_TTL_S
