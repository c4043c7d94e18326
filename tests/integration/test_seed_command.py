"""`gameserver seed` as a person runs it, and the content that a database of ours has without being asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from persistence.postgres import Database, open_loop
from persistence.seed.content import load_content
from tests.fakes.content_folder import HABITS, ContentFolder
from tests.fakes.database_probe import ask
from tests.server_process import ServerProcess

KEY = "k1:" + "s" * 32
PRODUCTION = {"GAME_ENV": "production", "GAME_JWT_KEYS": KEY, "GAME_BOT_TOKEN": "123456:" + "a" * 35}
NOTHING = "nothing to do: this content is already there"


@pytest.fixture
def idle() -> Iterator[ServerProcess]:
    """A server that is not started: its settings, ports and folder."""
    idle = ServerProcess()
    yield idle
    idle.__exit__()


@pytest.fixture
def folder(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")


def test_seed_says_what_to_give(idle: ServerProcess, tmp_path: Path) -> None:
    for arguments in ((), ("--content-dir", str(tmp_path))):
        done = idle.run("seed", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "gameserver: say what to fill the database with: --content, with --content-dir for files of your own, "
            "or --players N.\n"
        )


def test_content_of_ones_own_is_loaded_once_and_changed(
    idle: ServerProcess, database_dsn: str, folder: ContentFolder
) -> None:
    idle.environment["GAME_DATABASE_URL"] = database_dsn
    own = ("seed", "--content", "--content-dir", str(folder.path))
    done = idle.run(*own)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert lines["content"] == ["entries", "added", "changed", "retired", "removed"]
    assert lines["missions"] == ["7", "7"]
    assert lines["story_choices"] == ["8", "8"]
    assert NOTHING in idle.run(*own).stdout
    folder.replace(HABITS, "target = 100", "target = 200")
    changed = idle.run(*own).stdout
    assert NOTHING not in changed
    assert ["daily_habits", "2", "1"] in [line.split() for line in changed.splitlines()]
    folder.replace(HABITS, "id = 2", "id = none")
    done = idle.run(*own)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"gameserver: {HABITS}: not TOML: ")
    # The game's own content means other things by the same ids.
    done = idle.run("seed", "--content")
    assert done.returncode == 1
    assert done.stderr == (
        "gameserver: The content does not fit what the database's badges hold: "
        "id 1 was 'founder', is 'warm_hands' now; give new content a new id.\n"
    )


def test_a_schema_that_is_not_there_is_named(idle: ServerProcess, empty_database_dsn: str) -> None:
    idle.environment |= {**PRODUCTION, "GAME_DATABASE_URL": empty_database_dsn}
    done = idle.run("seed", "--content")
    assert done.returncode == 1
    assert done.stderr == "gameserver: The database lacks schema revision 0001; run `gameserver migrate up`.\n"


def test_a_brand_new_database_has_the_content_in_dev_and_keeps_it(idle: ServerProcess, empty_database_dsn: str) -> None:
    idle.environment["GAME_DATABASE_URL"] = empty_database_dsn
    with idle:
        assert ask(empty_database_dsn, "SELECT count(*) > 10 FROM missions") == [(True,)]
    assert NOTHING in idle.run("seed", "--content").stdout


def test_the_embedded_database_has_the_content(idle: ServerProcess) -> None:
    for _start in range(2):
        idle.start()
        assert NOTHING in idle.run("seed", "--content").stdout
        assert idle.stop() == 0


def test_content_that_cannot_be_loaded_is_no_reason_not_to_start(idle: ServerProcess) -> None:
    own = "INSERT INTO badges (id, key, name, description, source) VALUES (1, 'own', 'n', 'd', 'event')"
    block = idle.start()
    dsn = block.split("(psql '")[1].split("'")[0]
    ask(dsn, "TRUNCATE content_versions, badges, achievements CASCADE")
    ask(dsn, own)
    assert idle.stop() == 0
    with idle:
        assert "the game's own content is not loaded" in idle.log
        assert "id 1 was 'own', is 'warm_hands' now" in idle.log
        assert ask(dsn, "SELECT key::text FROM badges") == [("own",)]


def test_a_start_leaves_content_of_ones_own_alone(
    idle: ServerProcess, database_dsn: str, folder: ContentFolder
) -> None:
    async def load() -> None:
        async with open_loop(), Database.open(database_dsn) as database:
            await load_content(database, folder.read())

    trio.run(load)
    idle.environment["GAME_DATABASE_URL"] = database_dsn
    with idle:
        assert ask(database_dsn, "SELECT count(*) FROM missions") == [(7,)]


def test_a_production_database_has_only_what_was_asked_for(idle: ServerProcess, database_dsn: str) -> None:
    idle.environment |= {**PRODUCTION, "GAME_DATABASE_URL": database_dsn}
    idle.start()
    assert idle.stop() == 0
    assert ask(database_dsn, "SELECT count(*) FROM content_versions") == [(0,)]
    done = idle.run("seed", "--content")
    assert done.returncode == 0, done.stderr
    assert ask(database_dsn, "SELECT count(*) FROM content_versions") == [(8,)]


def test_players_are_seeded_once(idle: ServerProcess, database_dsn: str) -> None:
    idle.environment["GAME_DATABASE_URL"] = database_dsn
    order = ("seed", "--players", "300", "--seed", "4", "--days", "3", "--until", "2026-03-08")
    done = idle.run(*order)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "300 players with 3 days until 2026-03-08, from seed 4"
    counted = {line.split()[0]: line.split()[1] for line in told[1:-1]}
    assert counted["players"] == "300"
    assert "rows in" in told[-1]
    assert "checking the ledger" in done.stderr  # the bars
    assert ask(database_dsn, "SELECT count(*), max(created_at)::date::text FROM players") == [(300, "2026-03-08")]
    assert ask(database_dsn, "SELECT * FROM reconcile()") == []

    again = idle.run(*order)
    assert again.returncode == 1
    assert "gameserver: There are players or what belongs to them in this database already" in again.stderr
    assert ask(database_dsn, "SELECT count(*) FROM players") == [(300,)]


def test_players_are_seeded_until_yesterday(idle: ServerProcess, database_dsn: str) -> None:
    idle.environment["GAME_DATABASE_URL"] = database_dsn
    done = idle.run("seed", "--players", "20", "--days", "2")
    assert done.returncode == 0, done.stderr
    [(newest, yesterday)] = ask(
        database_dsn,
        "SELECT max(created_at)::date::text, (now() AT TIME ZONE 'UTC')::date - 1 FROM players",
    )
    assert newest == str(yesterday)


def test_players_are_not_made_up_in_production(idle: ServerProcess, database_dsn: str) -> None:
    idle.environment |= PRODUCTION | {"GAME_DATABASE_URL": database_dsn}
    done = idle.run("seed", "--players", "20", "--days", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "gameserver: made-up players stay for ever in a production database's ledger and boards; "
        "add --force if you mean it.\n"
    )
    assert ask(database_dsn, "SELECT count(*) FROM players") == [(0,)]
    done = idle.run("seed", "--players", "20", "--days", "2", "--force")
    assert done.returncode == 0, done.stderr
    assert ask(database_dsn, "SELECT count(*) FROM players") == [(20,)]


@pytest.mark.parametrize("day", ["2019-12-31", "2999-01-01"])
def test_a_past_is_past(idle: ServerProcess, day: str) -> None:
    done = idle.run("seed", "--players", "20", "--until", day)
    assert (done.returncode, done.stdout) == (1, "")
    assert "gameserver: a past ends between 2020-01-01 and today" in done.stderr
