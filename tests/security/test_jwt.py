"""Access tokens that are none, at both doors: whatever is forged, borrowed or out of its time opens neither."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.game_client import GOODBYE, HELLO, WELCOME, connect, hello_map
from tests.fakes.loopback_game import KEY, loopback_game
from tests.fakes.site import Site, assert_problem

PLAYER, SESSION = UUID(int=7), UUID(int=1)
OTHER_KEY = "another key for tests, of 32 bytes or more"


def claims(now_s: int, **changes: Any) -> dict[str, Any]:
    """What a good token says, but for `changes`; None leaves a claim out."""
    good = {
        "iss": "ppj",
        "aud": "ppj.game",
        "sub": str(PLAYER),
        "sid": str(SESSION),
        "iat": now_s,
        "exp": now_s + 900,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def signed(now_s: int, *, key: str = KEY, algorithm: str = "HS256", kid: Any = "test", **changes: Any) -> str:
    return jwt.encode(claims(now_s, **changes), key, algorithm=algorithm, headers={"kid": kid})


def with_header(now_s: int, header: dict[str, Any], signature_of: str = "") -> str:
    """A token with any header; signed with our key over another one, or not at all."""
    signature = jwt.encode(claims(now_s), KEY).rpartition(".")[2] if signature_of else ""
    return f"{part(header)}.{part(claims(now_s))}.{signature}"


def public_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def hmac_over(header: dict[str, Any], now_s: int, key: bytes, **changes: Any) -> str:
    """Signed by hand: a library refuses to sign some of these."""
    text = f"{part(header)}.{part(claims(now_s, **changes))}"
    seal = hmac.digest(key, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"


FORGED: dict[str, Callable[[int], str]] = {
    "none": lambda now_s: with_header(now_s, {"alg": "none", "typ": "JWT", "kid": "test"}),
    "nOnE": lambda now_s: with_header(now_s, {"alg": "nOnE", "typ": "JWT", "kid": "test"}),
    "none, with a signature": lambda now_s: with_header(now_s, {"alg": "none", "kid": "test"}, "ours"),
    "no alg": lambda now_s: with_header(now_s, {"typ": "JWT", "kid": "test"}),
    "a list of algs": lambda now_s: with_header(now_s, {"alg": ["HS256"], "kid": "test"}, "ours"),
    "no signature": lambda now_s: signed(now_s).rpartition(".")[0] + ".",
    "two parts": lambda now_s: signed(now_s).rpartition(".")[0],
    "HS384 with our key": lambda now_s: signed(now_s, algorithm="HS384", key=KEY + KEY),
    "HS512 with our key": lambda now_s: signed(now_s, algorithm="HS512", key=KEY + KEY),
    "RS256, HMAC by its public key": lambda now_s: hmac_over(
        {"alg": "RS256", "kid": "test"}, now_s, public_pem().encode()
    ),
    "HS256 by an empty key": lambda now_s: hmac_over({"alg": "HS256", "kid": "test"}, now_s, b""),
    "another key": lambda now_s: signed(now_s, key=OTHER_KEY),
    "another kid": lambda now_s: signed(now_s, kid="other"),
    "kid is a path": lambda now_s: signed(now_s, kid="../../../dev/null"),
    "kid is SQL": lambda now_s: signed(now_s, kid="x' UNION SELECT 'key"),
    "kid is a list": lambda now_s: hmac_over({"alg": "HS256", "kid": ["test"]}, now_s, KEY.encode()),
    "kid is a number": lambda now_s: hmac_over({"alg": "HS256", "kid": 0}, now_s, KEY.encode()),
    "brings its own key": lambda now_s: hmac_over(
        {"alg": "HS256", "jwk": {"kty": "oct", "k": part(OTHER_KEY)}, "jku": "https://evil.example/keys"},
        now_s,
        OTHER_KEY.encode(),
    ),
    "demands an extension": lambda now_s: hmac_over(
        {"alg": "HS256", "kid": "test", "crit": ["b64"], "b64": False}, now_s, KEY.encode()
    ),
    "another audience": lambda now_s: signed(now_s, aud="ppj.admin"),
    "several audiences": lambda now_s: signed(now_s, aud=["ppj.game", "ppj.admin"]),
    "no audience": lambda now_s: signed(now_s, aud=None),
    "another issuer": lambda now_s: signed(now_s, iss="evil"),
    "no player": lambda now_s: signed(now_s, sub=None),
    "a player that is SQL": lambda now_s: signed(now_s, sub="' OR 1=1 --"),
    "no login": lambda now_s: signed(now_s, sid=None),
    "for ever": lambda now_s: signed(now_s, exp=None),
    "an end that is text": lambda now_s: hmac_over(
        {"alg": "HS256", "kid": "test"}, now_s, KEY.encode(), exp=str(now_s + 900)
    ),
    "from the future": lambda now_s: signed(now_s, iat=now_s + 3_600, exp=now_s + 7_200),
    "not before tomorrow": lambda now_s: signed(now_s, nbf=now_s + 86_400),
    "too long": lambda now_s: signed(now_s, note="x" * 3_000),
    "a bomb of brackets": lambda _: f"{base64.urlsafe_b64encode(b'[' * 1_000).decode()}.e30.e30",
    "line breaks inside": lambda now_s: signed(now_s).replace(".", ".\n"),
    "spaces": lambda _: "   ",
    "full width letters": lambda now_s: signed(now_s).translate({ord("e"): "ｅ"}),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_http_refuses_what_is_forged(forge: Callable[[int], str]) -> None:
    site = Site()
    token = forge(site.clock.now_ms() // 1_000)
    async with site.client() as client:
        for method, path in (("GET", "/auth/verify"), ("GET", "/account/sessions"), ("POST", "/auth/logout")):
            response = await client.request(method, path, headers=[(b"authorization", b"Bearer " + token.encode())])
            detail = assert_problem(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
            assert token not in detail


async def test_the_socket_refuses_what_is_forged() -> None:
    async with loopback_game() as game:
        now_s = game.clock.now_ms() // 1_000
        for name, forge in FORGED.items():
            async with connect(game.port) as client:
                await client.send(HELLO, 0, hello_map(token=forge(now_s)[:3_900]))
                answer = await client.receive()
            assert answer[:2] in ([GOODBYE, 4501], [GOODBYE, 4500]), name
        assert game.database.rows == {}
        assert game.counters.crashes_total == 0


async def test_what_has_expired_is_told_apart_since_refreshing_helps() -> None:
    site = Site()
    expired = signed(site.clock.now_ms() // 1_000 - 901)
    async with site.client() as client:
        assert_problem(await client.get("/auth/verify", headers={"authorization": f"Bearer {expired}"}), 401)
    async with loopback_game() as game, connect(game.port) as client:
        await client.send(HELLO, 0, hello_map(token=signed(game.clock.now_ms() // 1_000 - 901)))
        assert (await client.receive())[:2] == [GOODBYE, 4011]


async def test_the_same_by_the_rules_opens_both_doors() -> None:
    site = Site()
    async with site.client() as client:
        token = signed(site.clock.now_ms() // 1_000)
        assert (await client.get("/auth/verify", headers={"authorization": f"Bearer {token}"})).status_code == 200
    async with loopback_game() as game, connect(game.port) as client:
        game.database.add(PLAYER)
        await client.send(HELLO, 0, hello_map(token=signed(game.clock.now_ms() // 1_000)))
        assert (await client.receive())[0] == WELCOME


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "Token", ""])
async def test_only_a_bearer_bears(scheme: str) -> None:
    site = Site()
    token = signed(site.clock.now_ms() // 1_000)
    async with site.client() as client:
        answers = [
            await client.get("/auth/verify", headers={"authorization": f"{scheme} {token}".strip()}),
            await client.get("/auth/verify", params={"access_token": token, "token": token}),
            await client.get("/auth/verify", headers={"cookie": f"access={token}"}),
        ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200 if scheme == "bearer" else 401, 401, 401]
