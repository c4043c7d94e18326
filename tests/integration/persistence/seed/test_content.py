"""Loading content into a real PostgreSQL: once, again, changed, retired, refused."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import trio

from persistence.errors import PersistenceError, SetupFailed
from persistence.postgres import Database
from persistence.seed.content import LoadedTable, load_content, load_shipped_content
from persistence.seed.content_checks import read_content
from persistence.seed.content_entries import Scene
from persistence.seed.content_files import ChapterFile, Content
from persistence.seed.content_tables import TABLES, wanted_rows
from persistence.seed.content_versions import has_content
from tests.fakes.content_folder import (
    ACHIEVEMENTS,
    BADGES,
    FILES,
    FIRST,
    HABITS,
    MISSIONS,
    SECOND,
    TITLES,
    ContentFolder,
    choice,
    scene,
)
from tests.fakes.database_probe import claimed_players, rows

SHIPPED = read_content()
ENTRIES = {name: len(entries) for name, entries in wanted_rows(SHIPPED).items()}


@pytest.fixture
def folder(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")


async def snapshot(database: Database) -> dict[str, list[tuple[str]]]:
    """Every row of every table of content, the versions included."""
    names = [*(table.name for table in TABLES), "content_versions"]
    return {
        name: [row[0] for row in await rows(database, f"SELECT to_jsonb(t)::text FROM {name} AS t ORDER BY 1")]
        for name in names
    }


def touched(loaded: Sequence[LoadedTable]) -> dict[str, tuple[int, int, int, int]]:
    """Added, changed, retired, removed, of the tables where anything was done."""
    counts = {one.table: (one.added, one.changed, one.retired, one.removed) for one in loaded}
    return {name: count for name, count in counts.items() if any(count)}


async def test_the_shipped_content_is_loaded_once(database: Database) -> None:
    assert not await has_content(database)
    assert touched(await load_content(database, SHIPPED)) == {name: (count, 0, 0, 0) for name, count in ENTRIES.items()}
    assert await has_content(database)
    for name, count in ENTRIES.items():
        assert await rows(database, f"SELECT count(*) FROM {name}") == [(count,)]
    assert await rows(database, "SELECT * FROM story_problems()") == []
    versions = dict(await rows(database, "SELECT name, checksum FROM content_versions"))
    assert versions == SHIPPED.checksums
    assert await rows(database, "SELECT entries FROM content_versions WHERE name = 'story'") == [
        (sum(ENTRIES[name] for name in ("story_chapters", "story_scenes", "story_choices")),)
    ]
    before = await snapshot(database)
    again = await load_content(database, SHIPPED)
    assert touched(again) == {}
    assert {one.table: one.entries for one in again} == ENTRIES
    assert await snapshot(database) == before


async def test_servers_are_told_of_a_change(database: Database, folder: ContentFolder) -> None:
    told = trio.Event()

    def notice(_: str) -> None:
        told.set()

    await load_content(database, folder.read())
    async with trio.open_nursery() as nursery:
        await nursery.start(database.listen, "content", notice)
        told = trio.Event()  # connecting counts as a notice
        folder.replace(HABITS, "target = 100", "target = 200")
        await load_content(database, folder.read())
        with trio.fail_after(10):
            await told.wait()
        nursery.cancel_scope.cancel()


async def test_servers_are_told_of_nothing_else(database: Database, folder: ContentFolder) -> None:
    await rows(database, "CREATE TABLE told (id serial)")
    await rows(
        database,
        """
        CREATE OR REPLACE FUNCTION notify_content() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO told DEFAULT VALUES; NOTIFY content; RETURN NULL; END $$
        """,
    )
    await load_content(database, folder.read())
    [(before,)] = await rows(database, "SELECT count(*) FROM told")
    assert before > 0
    await load_content(database, folder.read())
    assert await rows(database, "SELECT count(*) FROM told") == [(before,)]
    folder.replace(HABITS, "target = 100", "target = 200")
    await load_content(database, folder.read())
    assert await rows(database, "SELECT count(*) > $1 FROM told", before) == [(True,)]


async def test_one_changed_entry_changes_one_row(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    before = await snapshot(database)
    folder.replace(TITLES, "price_pt = 50", "price_pt = 60")
    assert touched(await load_content(database, folder.read())) == {"titles": (0, 1, 0, 0)}
    assert await rows(database, "SELECT price_mpt FROM titles ORDER BY id") == [(60_000,), (None,)]
    after = await snapshot(database)
    assert {name for name in after if after[name] != before[name]} == {"titles", "content_versions"}


async def test_a_comment_changes_only_the_version(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    folder.write(TITLES, "# In order of price.\n" + FILES[TITLES])
    assert touched(await load_content(database, folder.read())) == {}
    assert await rows(database, "SELECT checksum FROM content_versions WHERE name = 'titles'") == [
        (folder.read().checksums["titles"],)
    ]


async def test_what_vanishes_is_retired_and_may_come_back(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    first, header, second = FILES[HABITS].rpartition("[[habits]]")
    folder.write(HABITS, first)
    assert touched(await load_content(database, folder.read())) == {"daily_habits": (0, 0, 1, 0)}
    retired = "SELECT key::text FROM daily_habits WHERE retired_at IS NOT NULL"
    assert await rows(database, retired) == [("tap_some",)]
    folder.write(HABITS, f"# without it\n{first}")
    assert touched(await load_content(database, folder.read())) == {}
    folder.write(HABITS, f"{first}{header}{second}")
    assert touched(await load_content(database, folder.read())) == {"daily_habits": (0, 1, 0, 0)}
    assert await rows(database, retired) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        (
            HABITS,
            '"tap_some"',
            '"tap_more"',
            "daily_habits hold: id 2 was 'tap_some', is 'tap_more' now; give new content a new id.",
        ),
        (HABITS, "id = 2", "id = 3", "daily_habits hold: 'tap_some' has id 2; give it that id."),
        (
            HABITS,
            'evidence = "taps"',
            'evidence = "share"',
            "id 2, 'tap_some', had evidence taps, has share now; give new content a new id.",
        ),
        (MISSIONS, 'metric = "taps"', 'metric = "tokens"', "id 1, 'day_1', had metric taps, has tokens now;"),
        (ACHIEVEMENTS, "tier = 1", "tier = 3", None),
        (
            FIRST,
            '"climb"',
            '"ascend"',
            "story_choices hold: id 3 was 'climb', is 'ascend' now; give new content a new id.",
        ),
    ],
)
async def test_an_id_keeps_its_meaning(
    database: Database, folder: ContentFolder, name: str, old: str, new: str, sentence: str | None
) -> None:
    await load_content(database, folder.read())
    before = await snapshot(database)
    folder.replace(name, old, new)
    if sentence is None:
        folder.replace(name, "target = 1_000", "target = 100_000")
        sentence = "id 1, 'taps_one', had tier 1, has 3 now; give new content a new id."
    elif name == FIRST:
        folder.replace(SECOND, '"climb"', '"ascend"')
    with pytest.raises(SetupFailed) as raised:
        await load_content(database, folder.read())
    assert sentence in str(raised.value)
    assert await snapshot(database) == before


async def test_targets_move_and_a_retired_tier_is_not_given_out_again(
    database: Database, folder: ContentFolder
) -> None:
    await load_content(database, folder.read())
    folder.replace(ACHIEVEMENTS, "10_000", "100_000")
    folder.replace(ACHIEVEMENTS, "1_000", "10_000")  # what was the other's until now
    assert touched(await load_content(database, folder.read())) == {"achievements": (0, 2, 0, 0)}
    assert await rows(database, "SELECT target FROM achievements ORDER BY id") == [(10_000,), (100_000,)]
    folder.replace(ACHIEVEMENTS, "id = 2", "id = 3")
    folder.replace(ACHIEVEMENTS, '"taps_two"', '"taps_three"')
    with pytest.raises(
        SetupFailed, match="'taps_three' takes tier 2 of taps from 'taps_two', now gone; keep 'taps_two'"
    ):
        await load_content(database, folder.read())


def with_scene(content: Content, key: str, change: Callable[[Scene], Scene]) -> Content:
    """The content with a scene of the first chapter changed past all checks of the files."""
    first, *others = content.chapters
    scenes = tuple(change(scene) if scene.key == key else scene for scene in first.chapter.scenes)
    changed = ChapterFile(first.name, msgspec.structs.replace(first.chapter, scenes=scenes))
    return dataclasses.replace(
        content, chapters=(changed, *others), checksums={**content.checksums, "story": bytes(32)}
    )


def without_first_choice(scene: Scene) -> Scene:
    return msgspec.structs.replace(scene, choices=scene.choices[1:])


def without_end(scene: Scene) -> Scene:
    return msgspec.structs.replace(scene, ending=False)


def to_another_chapter(scene: Scene) -> Scene:
    one, *others = scene.choices
    return msgspec.structs.replace(scene, choices=(msgspec.structs.replace(one, to="noon"), *others))


@pytest.mark.parametrize(
    ("key", "change", "sentence"),
    [
        (
            "right",
            without_first_choice,
            "The story cannot be played to its end: 'bottom': no choice leads to this scene.",
        ),
        ("top", without_end, "'top': from this scene not everybody can reach an ending."),
        ("left", to_another_chapter, "story_choices_next_scene_id_fkey"),
    ],
)
async def test_the_database_is_asked_too_and_a_bad_story_leaves_the_old_one(
    database: Database, folder: ContentFolder, key: str, change: Callable[[Scene], Scene], sentence: str
) -> None:
    await load_content(database, folder.read())
    before = await snapshot(database)
    folder.replace(TITLES, "price_pt = 50", "price_pt = 60")  # goes back with the story
    with pytest.raises(PersistenceError) as raised:
        await load_content(database, with_scene(folder.read(), key, change))
    assert sentence in str(raised.value)
    assert await snapshot(database) == before


async def test_choices_change_places_and_go(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    one, two = choice(3, "climb", "top"), choice(4, "wait", "right")
    folder.replace(FIRST, one + two, two + choice(9, "jump", "bottom") + one)
    assert touched(await load_content(database, folder.read())) == {"story_choices": (1, 2, 0, 0)}
    places = "SELECT key::text, position FROM story_choices WHERE scene_id = 2 ORDER BY position"
    assert await rows(database, places) == [("wait", 1), ("jump", 2), ("climb", 3)]
    folder.replace(FIRST, two, "")
    assert touched(await load_content(database, folder.read())) == {"story_choices": (0, 2, 0, 1)}
    assert await rows(database, places) == [("jump", 1), ("climb", 2)]


async def test_a_scene_goes_with_its_choices_and_what_led_to_it_leads_elsewhere(
    database: Database, folder: ContentFolder
) -> None:
    await load_content(database, folder.read())
    folder.replace(FIRST, 'to = "left"', 'to = "top"')
    folder.replace(FIRST, scene(2, "left", choice(3, "climb", "top"), choice(4, "wait", "right")), "")
    folder.replace(SECOND, 'requires = "climb"', 'requires = "go_left"')
    loaded = touched(await load_content(database, folder.read()))
    assert loaded == {"story_scenes": (0, 0, 0, 1), "story_choices": (0, 2, 0, 2)}


async def test_what_players_have_done_in_the_story_stays(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    [player] = await claimed_players(database, 1)
    before = await snapshot(database)
    made = choice(4, "wait", "right")
    await rows(database, "INSERT INTO player_story_choices VALUES ($1, 4, now())", player.player_id)
    folder.replace(FIRST, made, "")
    with pytest.raises(
        SetupFailed, match=r"'wait' is gone from the files, but players \(1\) have made it; keep it, and close"
    ):
        await load_content(database, folder.read())
    await rows(database, "DELETE FROM player_story_choices")
    await rows(database, "INSERT INTO player_chapter_progress VALUES ($1, 2, 6, now())", player.player_id)
    folder.write(FIRST, FILES[FIRST])
    folder.replace(SECOND, 'first_scene = "dawn"', 'first_scene = "noon"')
    folder.replace(
        SECOND, scene(6, "dawn", choice(7, "rise", "noon"), choice(8, "recall", "noon", 'requires = "climb"')), ""
    )
    with pytest.raises(SetupFailed, match=r"'dawn' is gone from the files, but players \(1\) stand in it; keep it\."):
        await load_content(database, folder.read())
    assert await snapshot(database) == before


async def test_a_chapter_is_retired_whole_and_its_place_is_free(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    (folder.path / SECOND).unlink()
    third = FILES[SECOND].replace("second", "third").replace("id = 2", "id = 3")
    for number, key in ((6, "dawn"), (7, "noon"), (7, "rise"), (8, "recall")):
        third = third.replace(f"id = {number}\n", f"id = {number + 10}\n").replace(f'"{key}"', f'"new_{key}"')
    folder.write("story/03_third.toml", third)
    loaded = touched(await load_content(database, folder.read()))
    assert loaded == {"story_chapters": (1, 0, 1, 0), "story_scenes": (2, 0, 0, 0), "story_choices": (2, 0, 0, 0)}
    chapters = "SELECT key::text, position, retired_at IS NULL FROM story_chapters ORDER BY id"
    assert await rows(database, chapters) == [("first", 1, True), ("second", 10_002, False), ("third", 2, True)]
    assert await rows(database, "SELECT count(*) FROM story_scenes WHERE chapter_id = 2") == [(2,)]


async def test_where_content_was_loaded_the_shipped_one_is_not(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    before = await snapshot(database)
    assert not await load_shipped_content(database)
    assert await snapshot(database) == before


async def test_processes_that_start_at_once_load_it_once(database: Database) -> None:
    loaded: list[bool] = []

    async def start() -> None:
        loaded.append(await load_shipped_content(database))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(start)
    assert sorted(loaded) == [False, False, True]


async def test_rows_that_somebody_put_there_are_in_the_way(database: Database) -> None:
    await rows(database, "INSERT INTO badges (id, key, name, description, source) VALUES (1, 'own', 'n', 'd', 'event')")
    with pytest.raises(SetupFailed, match="badges hold: id 1 was 'own', is 'warm_hands' now"):
        await load_shipped_content(database)
    assert not await has_content(database)


async def test_a_kind_that_is_wanted_no_more(database: Database, folder: ContentFolder) -> None:
    await load_content(database, folder.read())
    folder.write(ACHIEVEMENTS, "")
    folder.write(BADGES, "")
    folder.write(TITLES, "")
    loaded = touched(await load_content(database, folder.read()))
    assert loaded == {"badges": (0, 0, 3, 0), "titles": (0, 0, 2, 0), "achievements": (0, 0, 2, 0)}
