"""Settings: every wrong value names its variable; secrets are drawn once."""

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from gameserver import settings as settings_module
from gameserver.errors import OperatorError
from gameserver.settings import (
    Environment,
    FlushTarget,
    LogFormat,
    Settings,
    TelegramEnvironment,
    load_settings,
    setting_sources,
    signing_keys,
    unknown_variables,
)

SECRET = "0123456789abcdef0123456789abcdef"
BOT_TOKEN = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine's own, no `.env` of the checkout."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GAME_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def env_file(text: str) -> None:
    Path(".env").write_text(text, encoding="utf-8")


def test_defaults_are_those_of_the_protocol() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8600)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8601)
    assert (settings.env, settings.is_dev, settings.log_format) == (Environment.DEV, True, LogFormat.TEXT)
    assert (settings.drain_s, settings.flush_ms) == (20, 250)
    assert (settings.initdata_max_age_s, settings.initdata_max_skew_s) == (86_400, 60)
    assert (settings.telegram_env, settings.bot_id) == (TelegramEnvironment.PROD, None)
    assert settings.emission_scale_pt == 10**9
    assert (settings.max_sockets, settings.max_sockets_per_address, settings.handshakes_per_s) == (18_000, 1_000, 2_000)
    assert settings.node_name(9_000).endswith(":9000")
    assert settings.problems() == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GAME_ENV", "prod"),
        ("GAME_PORT", "http"),
        ("GAME_PORT", "-1"),
        ("GAME_PORT", "65536"),
        ("GAME_PORT", ""),
        ("GAME_HTTP_PORT", "1.5"),
        ("GAME_DRAIN_S", "0"),
        ("GAME_DRAIN_S", "soon"),
        ("GAME_MAX_SOCKETS", "0"),
        ("GAME_MAX_SOCKETS_PER_ADDRESS", "-1"),
        ("GAME_HANDSHAKES_PER_S", "0.5"),
        ("GAME_JWT_KEYS", "nocolon"),
        ("GAME_JWT_KEYS", f":{SECRET}"),
        ("GAME_JWT_KEYS", f"bad kid:{SECRET}"),
        ("GAME_JWT_KEYS", "kid:short"),
        ("GAME_JWT_KEYS", f"a:{SECRET},a:{SECRET}"),
        ("GAME_INITDATA_MAX_AGE_S", "-1"),
        ("GAME_INITDATA_MAX_SKEW_S", "-1"),
        ("GAME_INITDATA_MAX_SKEW_S", "3601"),
        ("GAME_TELEGRAM_ENV", "production"),
        ("GAME_TELEGRAM_ENV", ""),
        ("GAME_BOT_ID", "0"),
        ("GAME_BOT_ID", "@my_bot"),
        ("GAME_BOT_ID", BOT_TOKEN),
        ("GAME_EMISSION_SCALE_PT", "0"),
        ("GAME_RATE_LIMITS", "maybe"),
        ("GAME_RATE_LIMITS", ""),
        ("GAME_LOG_FORMAT", "xml"),
        ("GAME_FLUSH_MS", "0"),
        ("GAME_FLUSH_MS", "251"),
        ("GAME_FLUSH_SINK", "nowhere"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OperatorError) as raised:
        load_settings()
    sentence = str(raised.value)
    assert sentence.startswith(f"{variable} is wrong: ")
    assert "\n" not in sentence
    assert SECRET not in sentence
    assert BOT_TOKEN not in sentence


def test_values_come_from_the_command_line_the_environment_the_file_in_that_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env_file("GAME_PORT=1001\nGAME_HTTP_PORT=1002\nGAME_HOST=0.0.0.0\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("GAME_HTTP_PORT", "2002")
    settings = load_settings(host="::1", port=None)
    assert (settings.host, settings.port, settings.http_port) == ("::1", 1001, 2002)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_ORIGINS", "https://a.example/, https://b.example ,")
    monkeypatch.setenv("GAME_JWT_KEYS", f"new:{SECRET}, old:{SECRET}x")
    settings = load_settings()
    assert settings.origins == ("https://a.example", "https://b.example")
    assert list(signing_keys(settings).items()) == [("new", SECRET), ("old", SECRET + "x")]


@pytest.mark.parametrize("name", ["DATA_DIR", "TLS_CERT", "TLS_KEY", "DATABASE_URL", "BOT_ID"])
def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"GAME_{name}", "")
    assert getattr(load_settings(), name.lower()) is None


def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_ENV", "production")
    monkeypatch.setenv("GAME_BOT_TOKEN", BOT_TOKEN)
    monkeypatch.setenv("GAME_JWT_KEYS", f"a:{SECRET}")
    monkeypatch.setenv("GAME_DATABASE_URL", "postgresql://game@localhost/game")


def test_production_starts_with_every_secret_given(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    settings = load_settings()
    assert not settings.is_dev
    assert settings.bot_tokens == (BOT_TOKEN,)


@pytest.mark.parametrize("name", ["GAME_BOT_TOKEN", "GAME_JWT_KEYS", "GAME_DATABASE_URL"])
@pytest.mark.parametrize("empty", [False, True])
def test_production_refuses_without(monkeypatch: pytest.MonkeyPatch, name: str, empty: bool) -> None:
    production(monkeypatch)
    if empty:
        monkeypatch.setenv(name, "")
    else:
        monkeypatch.delenv(name)
    with pytest.raises(OperatorError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("GAME_BOT_TOKEN", "nonsense"), ("GAME_BOT_TOKEN_PREVIOUS", "nonsense"), ("GAME_TLS_CERT", "cert.pem")],
)
def test_what_dev_only_warns_of_stops_production(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    [problem] = load_settings().problems()
    assert name in problem
    assert value not in problem
    production(monkeypatch)
    monkeypatch.setenv(name, value)
    with pytest.raises(OperatorError, match=name):
        load_settings()


def test_production_never_forgets_what_players_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_FLUSH_SINK", "null")
    settings = load_settings()
    assert settings.flush_sink is FlushTarget.NULL
    sentence = "GAME_FLUSH_SINK=null forgets what players do, which is for measurements in dev only."
    assert settings.problems() == [sentence]
    production(monkeypatch)
    with pytest.raises(OperatorError) as raised:
        load_settings()
    assert str(raised.value) == sentence


def test_a_malformed_bot_token_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_BOT_TOKEN", "nonsense")
    monkeypatch.setenv("GAME_BOT_TOKEN_PREVIOUS", BOT_TOKEN)
    assert load_settings().bot_tokens == (BOT_TOKEN,)


def test_production_may_do_without_the_token_where_the_bots_number_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    monkeypatch.delenv("GAME_BOT_TOKEN")
    monkeypatch.setenv("GAME_BOT_ID", "7342037359")
    settings = load_settings()
    assert (settings.bot_tokens, settings.bot_id) == ((), 7342037359)
    assert settings.cautions() == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"GAME_BOT_TOKEN_PREVIOUS": BOT_TOKEN},
            "GAME_BOT_TOKEN_PREVIOUS is for a rotation only; set GAME_BOT_TOKEN to the present token.",
        ),
        (
            {"GAME_BOT_TOKEN": BOT_TOKEN, "GAME_BOT_ID": "1"},
            "GAME_BOT_ID is not the number in GAME_BOT_TOKEN; leave it out where the token is set.",
        ),
    ],
)
def test_settings_of_telegram_that_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sentence: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load_settings().problems() == [sentence]
    production(monkeypatch)
    monkeypatch.delenv("GAME_BOT_TOKEN")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OperatorError, match=sentence.partition(";")[0]):
        load_settings()


def test_what_is_most_likely_not_meant_is_said_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    monkeypatch.setenv("GAME_BOT_ID", "7342037359")
    monkeypatch.setenv("GAME_BOT_TOKEN_PREVIOUS", BOT_TOKEN.replace("AAHI", "AAFZ"))
    assert load_settings().cautions() == []
    monkeypatch.setenv("GAME_BOT_TOKEN_PREVIOUS", "1" + BOT_TOKEN)
    monkeypatch.setenv("GAME_TELEGRAM_ENV", "test")
    other_bot, test_servers = load_settings().cautions()
    assert "of different bots" in other_bot
    assert "GAME_TELEGRAM_ENV=test" in test_servers
    monkeypatch.setenv("GAME_ENV", "dev")
    assert load_settings().cautions() == [other_bot]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


# ---- drawn keys


def draw(folder: str, answers: "multiprocessing.Queue[dict[str, str]]", start: "multiprocessing.Barrier") -> None:  # type: ignore[valid-type]  # a function to the stubs
    start.wait()  # type: ignore[attr-defined]  # as above
    answers.put(signing_keys(load_settings(data_dir=folder)))


def test_keys_are_drawn_once_and_kept(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "deep" / "down")
    first = signing_keys(settings)
    assert signing_keys(load_settings(data_dir=tmp_path / "deep" / "down")) == first
    [secret] = first.values()
    assert len(secret.encode()) >= 32
    assert signing_keys(load_settings(data_dir=tmp_path / "elsewhere")) != first
    folder = tmp_path / "deep" / "down"
    assert [path.name for path in folder.iterdir()] == ["secrets.json"]
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600


def test_of_processes_that_start_at_once_one_draws_for_all(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers, start = context.Queue(), context.Barrier(3)
    processes = [context.Process(target=draw, args=(str(tmp_path), answers, start)) for _ in range(3)]
    for process in processes:
        process.start()
    keys = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert keys[0] == keys[1] == keys[2]
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        "[]",
        "null",
        '"keys"',
        '{"other": 1}',
        '{"jwt_keys": null}',
        '{"jwt_keys": {}}',
        f'{{"jwt_keys": ["{SECRET}"]}}',
        f'{{"jwt_keys": "{SECRET}"}}',
        '{"jwt_keys": {"dev": null}}',
        '{"jwt_keys": {"dev": 12345678901234567890123456789012}}',
        '{"jwt_keys": {"dev": "short"}}',
        f'{{"jwt_keys": {{"dev": "{SECRET}", "old": ["{SECRET}"]}}}}',
        f'{{"jwt_keys": {{"not a kid": "{SECRET}"}}}}',
        '{"jwt_keys": {"dev": "\\ud800' + SECRET + '"}}',
        "\N{BYTE ORDER MARK}{}",
    ],
)
def test_a_damaged_file_of_keys_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match=r"secrets\.json is damaged") as raised:
        signing_keys(load_settings(data_dir=tmp_path))
    assert SECRET not in str(raised.value)


def test_a_file_of_keys_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match=r"secrets\.json is damaged"):
        signing_keys(load_settings(data_dir=tmp_path))


def test_a_file_with_several_keys_gives_them_in_its_order(tmp_path: Path) -> None:
    keys = {"new": SECRET, "old": SECRET + "x"}
    (tmp_path / "secrets.json").write_text(json.dumps({"jwt_keys": keys}), encoding="utf-8")
    assert list(signing_keys(load_settings(data_dir=tmp_path)).items()) == list(keys.items())


def test_a_data_folder_that_cannot_be_one_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="GAME_DATA_DIR"):
        signing_keys(load_settings(data_dir=tmp_path / "file" / "under"))


def test_given_keys_are_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GAME_JWT_KEYS", f"a:{SECRET}")
    assert signing_keys(load_settings(data_dir=tmp_path / "data")) == {"a": SECRET}
    assert not (tmp_path / "data").exists()


# ---- what doctor shows


def test_every_setting_has_a_source_and_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    env_file(f"GAME_HOST=0.0.0.0\nexport GAME_BOT_TOKEN={BOT_TOKEN}\n")
    monkeypatch.setenv("GAME_PORT", "1234")
    monkeypatch.setenv("GAME_JWT_KEYS", f"a:{SECRET}")
    monkeypatch.setenv("GAME_DATABASE_URL", "postgresql://game:password@localhost/game")
    rows = setting_sources(load_settings(http_port=77))
    assert [variable for variable, _, _ in rows] == [f"GAME_{name.upper()}" for name in Settings.model_fields]
    shown = {variable: (value, source) for variable, value, source in rows}
    assert shown["GAME_HOST"] == ("0.0.0.0", ".env")
    assert shown["GAME_PORT"] == ("1234", "environment")
    assert shown["GAME_HTTP_PORT"] == ("77", "command line")
    assert shown["GAME_HTTP_HOST"] == ("127.0.0.1", "default")
    assert shown["GAME_JWT_KEYS"] == ("a:***", "environment")
    text = json.dumps(rows)
    assert not any(secret in text for secret in (SECRET, BOT_TOKEN, "password"))


def test_the_command_line_is_the_source_of_what_it_gave_wherever_else_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env_file("GAME_HTTP_PORT=1002\nGAME_HTTP_HOST=0.0.0.0\n")
    monkeypatch.setenv("GAME_PORT", "1001")
    monkeypatch.setenv("GAME_HOST", "0.0.0.0")
    given = load_settings(port=77, http_port=78, host=None, http_host=None, drain_s=20.0)
    sources = {variable: source for variable, _, source in setting_sources(given)}
    assert sources["GAME_PORT"] == sources["GAME_HTTP_PORT"] == "command line"
    assert sources["GAME_DRAIN_S"] == "command line"  # although it is the default
    assert (sources["GAME_HOST"], sources["GAME_HTTP_HOST"]) == ("environment", ".env")
    copied = given.model_copy(update={"max_sockets": 7})
    assert {variable: source for variable, _, source in setting_sources(copied)}["GAME_PORT"] == "command line"


def test_variables_that_no_setting_has_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    env_file("GAME_PROT=1\n# GAME_COMMENT\nOTHER=2\n")
    monkeypatch.setenv("GAME_HOTS", "x")
    monkeypatch.setenv("GAME_PORT", "1")
    assert [name for name in unknown_variables() if name in ("GAME_PROT", "GAME_HOTS", "GAME_PORT", "OTHER")] == [
        "GAME_HOTS",
        "GAME_PROT",
    ]


def test_the_env_file_is_the_one_here() -> None:
    assert Path(".env") == settings_module.ENV_FILE


@pytest.mark.parametrize(
    "wrong", ["*", "null", "game.example", "ftp://game.example", "https://", "https://a:b@game.example"]
)
@pytest.mark.parametrize("name", ["ORIGINS", "PUBLIC_URL"])
def test_an_origin_has_a_scheme_and_a_host(monkeypatch: pytest.MonkeyPatch, name: str, wrong: str) -> None:
    monkeypatch.setenv(f"GAME_{name}", wrong)
    with pytest.raises(OperatorError, match=f"GAME_{name} is wrong"):
        load_settings()


def test_origins_are_as_browsers_write_them_and_our_own_page_is_on_every_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_PUBLIC_URL", "https://Game.example:443/play/")
    assert load_settings().socket_origins == ()
    monkeypatch.setenv("GAME_ORIGINS", "HTTPS://A.example:8443/")
    assert load_settings().socket_origins == ("https://a.example:8443", "https://game.example")
