import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gameserver.identity import telegram
from gameserver.identity.telegram import (
    MAX_INIT_DATA_BYTES,
    BadInitData,
    InitDataFault,
    TelegramLogin,
    TelegramVerifier,
)
from gameserver.settings import TelegramEnvironment
from tests.fakes.telegram import BOT_TOKEN, init_data, signed_init_data, signed_third_party, signed_widget

NOW_S = 1_767_225_600
USER = json.dumps({"id": 42, "first_name": "Ada"})


def verify(
    raw: str, *, tokens: tuple[str, ...] = (BOT_TOKEN,), now_s: int = NOW_S, max_age_s: int = 0
) -> TelegramLogin:
    return TelegramVerifier(bot_tokens=tokens, max_age_s=max_age_s).init_data(raw, now_s)


def fault_of(raw: str, *, tokens: tuple[str, ...] = (BOT_TOKEN,), max_age_s: int = 0) -> InitDataFault:
    with pytest.raises(BadInitData) as raised:
        verify(raw, tokens=tokens, max_age_s=max_age_s)
    assert not raised.value.expired, "only an expired access token sends a client to refresh"
    return raised.value.fault


def fields_of(raw: str) -> dict[str, str]:
    return dict(parse_qsl(raw, keep_blank_values=True, strict_parsing=True))


# ---- published cases

DOCUMENTED = (
    "query_id=AAHdF6IQAAAAAN0XohDhrOrc&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22%2C%22last_name"
    "%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%7D"
    "&auth_date=1662771648&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2"
)
DOCUMENTED_TOKEN = "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8"
SIGNED_TWICE = (
    "user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22%2C%22last_name%22%3A%22"
    "Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22"
    "allows_write_to_pm%22%3Atrue%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F"
    "4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private"
    "&auth_date=1733584787&signature=zL-ucjNyREiHDE8aihFwpfR9aggP2xiAo3NSpfe-p7IbCisNlDKlo7Kb6G4D0Ao2mBrSgEk4maLSdv6MLIlADQ"
    "&hash=2174df5b000556d044f3f020384e879c8efcab55ddea2ced4eb752e93e7080d6"
)
SIGNED_TWICE_TOKEN = "7342037359:AAFZehRPBRs8Seg40oDjTMIW8uTGPuW1zfQ"
AIOGRAM = (
    "auth_date=1650385342&user=%7B%22id%22%3A42%2C%22first_name%22%3A%22Test%22%7D&query_id=test"
    "&hash=46d2ea5e32911ec8d30999b56247654460c0d20949b6277af519e76271182803"
)


@dataclass(frozen=True)
class Published:
    raw: str
    token: str
    now_s: int
    max_age_s: int
    verdict: int | InitDataFault  #: the user's id, or why not


PUBLISHED = {
    "documented": Published(DOCUMENTED, DOCUMENTED_TOKEN, 1662771648, 0, 279058397),
    "documented, a day old": Published(DOCUMENTED, DOCUMENTED_TOKEN, 1662858048, 86_400, 279058397),
    "documented, a day and a second old": Published(
        DOCUMENTED, DOCUMENTED_TOKEN, 1662858049, 86_400, InitDataFault.EXPIRED
    ),
    "hash with a tail": Published(DOCUMENTED + "abc", DOCUMENTED_TOKEN, 1662771648, 0, InitDataFault.BAD_HASH),
    "not a query": Published("here comes something wrong;", DOCUMENTED_TOKEN, 1662771648, 0, InitDataFault.MALFORMED),
    "no hash": Published("no_hash=true", DOCUMENTED_TOKEN, 1662771648, 0, InitDataFault.MISSING_HASH),
    "with signature": Published(SIGNED_TWICE, SIGNED_TWICE_TOKEN, 1733584787, 86_400, 279058397),
    "with signature, too old": Published(SIGNED_TWICE, SIGNED_TWICE_TOKEN, 1733584798, 10, InitDataFault.EXPIRED),
    "with signature, wrong token": Published(
        SIGNED_TWICE, SIGNED_TWICE_TOKEN + "A", 1733584787, 0, InitDataFault.BAD_HASH
    ),
    "other order": Published(AIOGRAM, "42:TEST", 1650385342, 0, 42),
    "other order, wrong token": Published(AIOGRAM, "42:INVALID", 1650385342, 0, InitDataFault.BAD_HASH),
}


@pytest.mark.parametrize("case", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_cases(case: Published) -> None:
    if isinstance(case.verdict, int):
        login = verify(case.raw, tokens=(case.token,), now_s=case.now_s, max_age_s=case.max_age_s)
        assert login.user_id == case.verdict
    else:
        with pytest.raises(BadInitData) as raised:
            verify(case.raw, tokens=(case.token,), now_s=case.now_s, max_age_s=case.max_age_s)
        assert raised.value.fault is case.verdict


SIGNED_BY_OLD_TOKEN = (
    SIGNED_TWICE.partition("&auth_date=")[0] + "&auth_date=1733509682&signature="
    "TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3dnTzcZX_PDg"
    "&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73"
)
BOT_ID = 7342037359
PROD, TEST = TelegramEnvironment.PROD, TelegramEnvironment.TEST


@pytest.mark.parametrize(
    ("raw", "bot_id", "environment", "now_s", "max_age_s", "verdict"),
    [
        (SIGNED_TWICE, BOT_ID, PROD, 1733584787, 86_400, 279058397),
        (SIGNED_BY_OLD_TOKEN, BOT_ID, PROD, 1733509702, 300, 279058397),
        (SIGNED_BY_OLD_TOKEN, BOT_ID, PROD, 1733509983, 300, InitDataFault.EXPIRED),
        (SIGNED_TWICE, BOT_ID + 1, PROD, 1733584787, 0, InitDataFault.BAD_SIGNATURE),
        (SIGNED_TWICE, BOT_ID, TEST, 1733584787, 0, InitDataFault.BAD_SIGNATURE),
        (DOCUMENTED, BOT_ID, PROD, 1662771648, 0, InitDataFault.MISSING_SIGNATURE),
        ("auth_date=1", BOT_ID, PROD, 2, 0, InitDataFault.MISSING_SIGNATURE),
    ],
)
def test_published_cases_by_telegrams_own_signature(
    raw: str, bot_id: int, environment: TelegramEnvironment, now_s: int, max_age_s: int, verdict: int | InitDataFault
) -> None:
    verifier = TelegramVerifier(bot_id=bot_id, environment=environment, max_age_s=max_age_s)
    if isinstance(verdict, int):
        assert verifier.init_data(raw, now_s).user_id == verdict
    else:
        with pytest.raises(BadInitData) as raised:
            verifier.init_data(raw, now_s)
        assert raised.value.fault is verdict


WIDGET = {
    "id": "42",
    "first_name": "John",
    "last_name": "Smith",
    "username": "username",
    "photo_url": "https://t.me/i/userpic/320/picname.jpg",
    "auth_date": "1565810688",
    "hash": "c303db2b5a06fe41d23a9b14f7c545cfc11dcc7473c07c9c5034ae60062461ce",
}
WIDGET_TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"


def test_published_cases_of_the_login_widget() -> None:
    verifier = TelegramVerifier(bot_tokens=(WIDGET_TOKEN,), max_age_s=0)
    login = verifier.widget(WIDGET, 1565810688)
    assert (login.user_id, login.first_name, login.last_name, login.username) == (42, "John", "Smith", "username")
    assert widget_fault({key: value for key, value in WIDGET.items() if key != "username"}, verifier) is (
        InitDataFault.BAD_HASH
    )


# ---- what is read


def test_everything_that_is_read() -> None:
    raw = init_data(
        NOW_S,
        start_param="r_abc123",
        first_name="Ada é 力 +&=%",
        last_name="L",
        username="ada",
        language_code="en",
        is_premium=True,
        not_yet_known={"a": [1]},
    )
    login = verify(raw)
    assert login == TelegramLogin(
        user_id=42,
        first_name="Ada é 力 +&=%",
        last_name="L",
        username="ada",
        language_code="en",
        is_premium=True,
        start_param="r_abc123",
        auth_date_s=NOW_S,
        digest=login.digest,
    )
    lines = [f"{key}={value}" for key, value in sorted(fields_of(raw).items()) if key != "hash"]
    assert login.digest == hashlib.sha256("\n".join(lines).encode()).digest()


def test_what_telegram_leaves_out_is_empty() -> None:
    login = verify(signed_init_data({"auth_date": str(NOW_S), "user": '{"id":42}'}))
    assert (login.first_name, login.username, login.start_param, login.is_premium) == ("", "", "", False)


def test_unknown_fields_are_signed_too() -> None:
    raw = signed_init_data({"auth_date": str(NOW_S), "user": USER, "brand_new": "1"})
    assert verify(raw).user_id == 42
    assert fault_of(raw.replace("brand_new=1", "brand_new=2")) is InitDataFault.BAD_HASH
    assert fault_of(raw.replace("brand_new=1&", "")) is InitDataFault.BAD_HASH


def test_a_space_may_be_written_as_a_plus() -> None:
    raw = init_data(NOW_S, first_name="Ada L")
    assert "%20" in raw
    assert verify(raw.replace("%20", "+")).first_name == "Ada L"


# ---- who signed


def test_the_current_and_the_previous_token_count() -> None:
    raw = init_data(NOW_S)
    assert verify(raw, tokens=("1:new", BOT_TOKEN)).user_id == 42
    assert verify(raw, tokens=(BOT_TOKEN, "1:old")).user_id == 42
    assert fault_of(raw, tokens=("1:new", "1:old")) is InitDataFault.BAD_HASH
    assert fault_of(raw, tokens=()) is InitDataFault.BAD_HASH


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw.replace("42", "43"),
        lambda raw: raw.replace(f"auth_date={NOW_S}", f"auth_date={NOW_S + 1}"),
        lambda raw: raw[:-1] + ("0" if raw[-1] != "0" else "1"),
        lambda raw: raw[:-1],
        lambda raw: raw[:-64] + raw[-64:].upper(),
        lambda raw: raw[:-64] + "%C3%A9" * 64,
        lambda raw: raw + "&start_param=r_mine",
    ],
    ids=["user", "date", "hash", "short hash", "upper case", "not ASCII", "added"],
)
def test_any_change_breaks_the_hash(spoil: Callable[[str], str]) -> None:
    assert fault_of(spoil(init_data(NOW_S))) is InitDataFault.BAD_HASH


# ---- form


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:0],
        lambda raw: raw + "&",
        lambda raw: "&" + raw,
        lambda raw: raw + "&x",
        lambda raw: raw + "&=x",
        lambda raw: raw + "&hash=" + raw[-64:],
        lambda raw: raw + f"&auth_date={NOW_S}",
        lambda raw: raw + "&x=1&x=1",
        lambda raw: raw + "&x=%",
        lambda raw: raw + "&x=%4",
        lambda raw: raw + "&x=%zz",
        lambda raw: raw + "&x=%FF",
        lambda raw: raw + "&x=%ED%A0%80",
        lambda raw: raw + "&x=%0Auser=1",
        lambda raw: raw + "&x=é",
        lambda raw: raw + "&x=\ud800",
        lambda raw: raw + "&x%3D=1",
        lambda raw: raw + "&x=" + "y" * MAX_INIT_DATA_BYTES,
        lambda raw: raw.replace("auth_date", "auth_dat"),
        lambda raw: raw.replace(f"auth_date={NOW_S}", "auth_date="),
        lambda raw: raw.replace(f"auth_date={NOW_S}", "auth_date=-1"),
        lambda raw: raw.replace(f"auth_date={NOW_S}", "auth_date=1e9"),
        lambda raw: raw.replace(f"auth_date={NOW_S}", "auth_date=%D9%A1"),
        lambda raw: raw.replace(f"auth_date={NOW_S}", "auth_date=" + "9" * 400),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused_before_the_signature(spoil: Callable[[str], str]) -> None:
    assert fault_of(spoil(init_data(NOW_S))) is InitDataFault.MALFORMED


def test_no_hash_and_an_empty_hash_are_the_same() -> None:
    raw = init_data(NOW_S)
    assert fault_of(raw[: -len("&hash=") - 64]) is InitDataFault.MISSING_HASH
    assert fault_of(raw[:-64]) is InitDataFault.MISSING_HASH
    assert fault_of(raw.replace("&", ";")) is InitDataFault.MISSING_HASH


def test_lines_cannot_be_shifted_between_fields() -> None:
    # The signed text is the same, cut differently: `chat_type` swallows the line of `user`.
    raw = signed_init_data({"auth_date": str(NOW_S), "chat_type": "private", "user": USER})
    fields = dict(part.split("=", 1) for part in raw.split("&"))
    merged = f"auth_date={NOW_S}&chat_type=private%0Auser%3D{fields['user']}&hash={fields['hash']}"
    assert fault_of(merged) is InitDataFault.MALFORMED


@pytest.mark.parametrize(
    "user", [None, "", "null", "[]", "{}", '{"id":"42"}', '{"id":0}', '{"id":1.5}', '{"id":true}', '{"id":42', '"42"']
)
def test_signed_data_that_names_no_user(user: str | None) -> None:
    fields = {"auth_date": str(NOW_S)} | ({} if user is None else {"user": user})
    assert fault_of(signed_init_data(fields)) is InitDataFault.MALFORMED


# ---- age


def test_age_is_counted_in_whole_seconds() -> None:
    assert verify(init_data(NOW_S - 300), max_age_s=300).auth_date_s == NOW_S - 300
    assert fault_of(init_data(NOW_S - 301), max_age_s=300) is InitDataFault.EXPIRED
    assert verify(init_data(1), max_age_s=0).auth_date_s == 1


def test_how_far_clocks_may_differ_is_a_setting() -> None:
    strict = TelegramVerifier(bot_tokens=(BOT_TOKEN,), max_skew_s=0)
    assert strict.init_data(init_data(NOW_S), NOW_S).user_id == 42
    with pytest.raises(BadInitData) as raised:
        strict.init_data(init_data(NOW_S + 1), NOW_S)
    assert raised.value.fault is InitDataFault.FUTURE


def test_clocks_may_differ_by_a_minute() -> None:
    assert verify(init_data(NOW_S + 60), max_age_s=300).auth_date_s == NOW_S + 60
    assert fault_of(init_data(NOW_S + 61)) is InitDataFault.FUTURE


def test_a_bad_hash_is_told_before_age() -> None:
    assert fault_of(init_data(1, "1:other"), max_age_s=1) is InitDataFault.BAD_HASH


def test_an_error_never_repeats_the_data() -> None:
    raw = init_data(NOW_S, username="somebody")
    with pytest.raises(BadInitData) as raised:
        verify(raw, tokens=("1:other",))
    assert "somebody" not in str(raised.value)
    assert raw[-64:] not in str(raised.value)


# ---- the same login, shown again


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda raw: "&".join(reversed(raw.split("&"))),
        lambda raw: raw.replace("%20", "+"),
        lambda raw: raw.replace("%7B", "%7b"),
        lambda raw: raw.replace("Ada", "%41da"),
    ],
    ids=["order", "plus", "lower case", "needless escape"],
)
def test_however_it_is_written_it_is_the_same_login(rewritten: Callable[[str], str]) -> None:
    raw = init_data(NOW_S, first_name="Ada L")
    assert rewritten(raw) != raw
    assert verify(rewritten(raw)).digest == verify(raw).digest
    assert verify(init_data(NOW_S + 1, first_name="Ada L")).digest != verify(raw).digest


def test_the_unsigned_hash_makes_no_other_login_of_it() -> None:
    # Telegram's own signature does not cover `hash`, so whoever shows a login again could change it.
    by_signature = TelegramVerifier(bot_id=BOT_ID, max_age_s=0)
    first = by_signature.init_data(SIGNED_TWICE, 1733584787)
    again = by_signature.init_data(SIGNED_TWICE[:-64] + "0" * 64, 1733584787)
    without = by_signature.init_data(SIGNED_TWICE[: -len("&hash=") - 64], 1733584787)
    assert first.digest == again.digest == without.digest
    assert first.digest == verify(SIGNED_TWICE, tokens=(SIGNED_TWICE_TOKEN,), now_s=1733584787).digest


# ---- Telegram's own signature


@pytest.fixture
def telegram_key(monkeypatch: pytest.MonkeyPatch) -> Ed25519PrivateKey:
    """A private key whose public half stands in for Telegram's."""
    key = Ed25519PrivateKey.generate()
    monkeypatch.setattr(telegram, "_TELEGRAM_KEYS", {PROD: key.public_key()})
    return key


def signature_fault(raw: str) -> InitDataFault:
    with pytest.raises(BadInitData) as raised:
        TelegramVerifier(bot_id=BOT_ID, max_age_s=300).init_data(raw, NOW_S)
    return raised.value.fault


def test_without_a_token_telegrams_signature_counts(telegram_key: Ed25519PrivateKey) -> None:
    fields = {"auth_date": str(NOW_S), "user": USER, "start_param": "r_abc12345", "brand_new": "1"}
    raw = signed_third_party(fields, telegram_key, BOT_ID)
    login = TelegramVerifier(bot_id=BOT_ID).init_data(raw, NOW_S)
    assert (login.user_id, login.start_param, login.is_premium) == (42, "r_abc12345", False)
    assert signature_fault(raw.replace("brand_new=1", "brand_new=2")) is InitDataFault.BAD_SIGNATURE
    assert signature_fault(signed_third_party(fields, telegram_key, BOT_ID + 1)) is InitDataFault.BAD_SIGNATURE
    old = signed_third_party(fields | {"auth_date": str(NOW_S - 301)}, telegram_key, BOT_ID)
    assert signature_fault(old) is InitDataFault.EXPIRED
    nobody = signed_third_party({"auth_date": str(NOW_S)}, telegram_key, BOT_ID)
    assert signature_fault(nobody) is InitDataFault.MALFORMED


def test_with_a_token_telegrams_signature_alone_is_not_enough(telegram_key: Ed25519PrivateKey) -> None:
    raw = signed_third_party({"auth_date": str(NOW_S), "user": USER}, telegram_key, BOT_ID)
    verifier = TelegramVerifier(bot_tokens=(BOT_TOKEN,), bot_id=BOT_ID)
    for data, fault in ((raw, InitDataFault.MISSING_HASH), (raw + "&hash=" + "0" * 64, InitDataFault.BAD_HASH)):
        with pytest.raises(BadInitData) as raised:
            verifier.init_data(data, NOW_S)
        assert raised.value.fault is fault


def test_a_hash_is_not_enough_where_there_is_no_token() -> None:
    assert signature_fault(init_data(NOW_S)) is InitDataFault.MISSING_SIGNATURE


def other_last_bits(signature: str) -> str:
    """The same 64 bytes, written with bits that no decoder looks at."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + digits[digits.index(signature[-1]) ^ 1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda signature: signature[:-1],
        lambda signature: signature + "A",
        lambda signature: signature + "=",
        lambda signature: "%2B" + signature[1:],
        lambda _: "A" * 86,
        lambda _: "%C3%A9" * 86,
        other_last_bits,
    ],
    ids=["short", "long", "half padded", "other alphabet", "zeros", "not ASCII", "other bits"],
)
def test_a_signature_that_is_none(telegram_key: Ed25519PrivateKey, spoil: Callable[[str], str]) -> None:
    raw = signed_third_party({"auth_date": str(NOW_S), "user": USER}, telegram_key, BOT_ID)
    start, signature = raw[:-86], raw[-86:]
    assert TelegramVerifier(bot_id=BOT_ID).init_data(f"{start}{signature}%3D%3D", NOW_S).user_id == 42
    assert signature_fault(start + spoil(signature)) is InitDataFault.BAD_SIGNATURE


# ---- the login widget


def widget_fault(fields: Mapping[str, Any], verifier: TelegramVerifier | None = None) -> InitDataFault:
    with pytest.raises(BadInitData) as raised:
        (verifier or TelegramVerifier(bot_tokens=(BOT_TOKEN,), max_age_s=300)).widget(fields, NOW_S)
    return raised.value.fault


def test_what_the_widget_tells() -> None:
    fields = signed_widget({"id": 42, "first_name": "Ada é", "auth_date": NOW_S, "not_yet_known": "1"})
    verifier = TelegramVerifier(bot_tokens=("1:new", BOT_TOKEN))
    login = verifier.widget(fields, NOW_S)
    assert (login.user_id, login.first_name, login.last_name, login.username) == (42, "Ada é", "", "")
    assert (login.start_param, login.language_code, login.is_premium) == ("", "", None)
    as_texts = {key: str(value) for key, value in fields.items()}
    assert verifier.widget(as_texts, NOW_S) == login, "a redirect gives texts, a callback numbers"


def test_the_widget_and_the_mini_app_have_different_seals() -> None:
    fields = {"id": "42", "first_name": "Ada", "auth_date": str(NOW_S)}
    sealed = dict(part.split("=", 1) for part in signed_init_data(fields).split("&"))
    assert widget_fault(sealed) is InitDataFault.BAD_HASH
    by_widget = signed_widget({"auth_date": NOW_S, "user": USER})
    assert fault_of("&".join(f"{key}={quote(str(value), safe='')}" for key, value in by_widget.items())) is (
        InitDataFault.BAD_HASH
    )


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"id": 43}, InitDataFault.BAD_HASH),
        ({"added": ""}, InitDataFault.BAD_HASH),
        ({"hash": ""}, InitDataFault.MISSING_HASH),
        ({"hash": 7}, InitDataFault.BAD_HASH),
        ({"hash": "é" * 64}, InitDataFault.BAD_HASH),
        ({"auth_date": "soon"}, InitDataFault.MALFORMED),
        ({"auth_date": -1}, InitDataFault.MALFORMED),
        ({"first_name": "Ada\nid=43"}, InitDataFault.MALFORMED),
        ({"first_name": "\ud800"}, InitDataFault.MALFORMED),
        ({"a=b": "c"}, InitDataFault.MALFORMED),
        ({"a\nb": "c"}, InitDataFault.MALFORMED),
        ({"": "c"}, InitDataFault.MALFORMED),
        ({"more": "x" * MAX_INIT_DATA_BYTES}, InitDataFault.MALFORMED),
    ],
)
def test_a_widget_that_proves_nothing(changed: dict[str, Any], fault: InitDataFault) -> None:
    fields = signed_widget({"id": 42, "first_name": "Ada", "auth_date": NOW_S})
    assert widget_fault(fields | changed) is fault


def test_a_widget_without_a_hash_or_a_date_or_a_user_or_a_token() -> None:
    fields = signed_widget({"id": 42, "auth_date": NOW_S})
    assert widget_fault({key: value for key, value in fields.items() if key != "hash"}) is InitDataFault.MISSING_HASH
    assert widget_fault(signed_widget({"id": 42})) is InitDataFault.MALFORMED
    for user_id in ("", 0, "042", 2**53, "x"):
        assert widget_fault(signed_widget({"auth_date": NOW_S, "id": user_id})) is InitDataFault.MALFORMED
    assert widget_fault(signed_widget({"auth_date": NOW_S})) is InitDataFault.MALFORMED
    assert widget_fault(fields, TelegramVerifier(bot_id=BOT_ID)) is InitDataFault.BAD_HASH


def test_a_widget_is_good_as_long_as_init_data() -> None:
    assert widget_fault(signed_widget({"id": 42, "auth_date": NOW_S - 301})) is InitDataFault.EXPIRED
    assert widget_fault(signed_widget({"id": 42, "auth_date": NOW_S + 61})) is InitDataFault.FUTURE
