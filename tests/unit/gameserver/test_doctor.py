"""The doctor's findings about how players log in."""

from pathlib import Path

import pytest

from gameserver.doctor import Finding, Verdict, examine
from gameserver.settings import Settings

BOT_TOKEN = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GAME_{name.upper()}", raising=False)
    monkeypatch.setenv("GAME_PORT", "0")
    monkeypatch.setenv("GAME_HTTP_PORT", "0")
    monkeypatch.chdir(tmp_path)


def findings(subject: str) -> list[Finding]:
    return [finding for finding in examine(lambda _: "as it should be")[1] if finding.subject == subject]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nobody can log in with Telegram; set GAME_BOT_TOKEN"),
        ({"BOT_TOKEN": BOT_TOKEN}, "checked with the bot's token"),
        ({"BOT_TOKEN": BOT_TOKEN, "BOT_TOKEN_PREVIOUS": BOT_TOKEN + "x"}, "with the bot's token and the one before"),
        ({"BOT_ID": "42"}, "the Mini App of bot 42 is checked with Telegram's prod key"),
        ({"BOT_ID": "42", "TELEGRAM_ENV": "test"}, "Telegram's test key; the login widget needs GAME_BOT_TOKEN"),
    ],
)
def test_how_telegrams_logins_are_checked(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"GAME_{name}", value)
    [finding] = findings("telegram")
    assert finding.verdict is Verdict.GOOD
    assert words in finding.text
    assert BOT_TOKEN not in finding.text


def test_what_is_most_likely_not_meant_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("GAME_BOT_TOKEN_PREVIOUS", "1" + BOT_TOKEN)
    assert [(one.verdict, "different bots" in one.text) for one in findings("settings")] == [
        (Verdict.WARNING, True),
        (Verdict.GOOD, False),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "who asks too often is refused; addresses are counted, but for loopback"),
        ({"RATE_LIMITS": "dry-run"}, "a dry run: nobody is refused; addresses are counted"),
        ({"MAX_SOCKETS_PER_ADDRESS": "0"}, "addresses are not counted"),
        ({"RATE_LIMITS": "off"}, "off: nobody is refused, nothing is counted"),
    ],
)
def test_who_is_kept_from_asking_too_often(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"GAME_{name}", value)
    [finding] = findings("rate limits")
    assert words in finding.text


@pytest.mark.parametrize("mode", ["dry-run", "off"])
def test_production_without_rate_limits_is_a_warning(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    for name, value in {
        "ENV": "production",
        "BOT_TOKEN": BOT_TOKEN,
        "JWT_KEYS": f"k:{'x' * 32}",
        "DATABASE_URL": "postgresql://game@localhost/game",
        "RATE_LIMITS": mode,
    }.items():
        monkeypatch.setenv(f"GAME_{name}", value)
    assert [one.text for one in findings("settings") if one.verdict is Verdict.WARNING] == [
        f"GAME_RATE_LIMITS={mode} refuses nobody, however often he asks or guesses; on does."
    ]
