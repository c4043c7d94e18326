"""docs/database.md and its picture say what the live schema is."""

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from persistence import reference
from persistence.postgres import Database
from persistence.schema_catalogue import Constraint, Schema, Table, read_schema
from persistence.schema_picture import draw
from persistence.schema_systems import SYSTEMS
from tests.fakes.database_probe import rows

DOCUMENT = Path(__file__).parents[3] / "docs" / "database.md"
STALE = "run `python -m persistence.reference`"


@pytest.fixture
async def schema(database: Database) -> Schema:
    return await read_schema(database)


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


async def test_the_page_and_its_picture_are_up_to_date(schema: Schema, text: str) -> None:
    assert reference.render(text, schema) == text, STALE
    assert draw(schema) == reference.picture_of(DOCUMENT).read_text(encoding="utf-8"), STALE


def test_the_page_uses_every_block_and_shows_the_picture(text: str) -> None:
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == set(reference.BLOCKS)
    assert f"]({reference.picture_of(DOCUMENT).name})" in text


async def test_the_schema_has_what_the_mission_counts(schema: Schema) -> None:
    counted = reference.counts(schema)
    assert counted.keys() == reference.FLOORS.keys()
    assert {what for what, number in counted.items() if number < reference.FLOORS[what]} == set()


async def test_every_table_has_its_place(schema: Schema) -> None:
    placed = [name for system in SYSTEMS for name in system.tables]
    assert sorted(placed) == sorted(table.name for table in schema.tables if not table.name.endswith("_default"))


async def test_neither_months_nor_what_newer_versions_count_is_seen(database: Database, schema: Schema) -> None:
    await rows(database, "SELECT maintain_partitions('2031-05-05')")
    assert await read_schema(database) == schema
    assert not [table.name for table in schema.tables if re.search(r"\d", table.name)]
    assert {constraint.kind for constraint in schema.constraints} == set("pufcx")


def test_a_block_that_is_out_of_date_is_rewritten_and_the_rest_is_kept(database_dsn: str, tmp_path: Path) -> None:
    page = tmp_path / "database.md"
    page.write_text("by hand\n<!-- generated: counts -->\nold\n<!-- end -->\nby hand too\n", encoding="utf-8")
    reference.main(str(page), database_dsn)
    written = page.read_text(encoding="utf-8")
    assert written.startswith("by hand\n<!-- generated: counts -->\n\n| what |")
    assert written.endswith("|\n\n<!-- end -->\nby hand too\n")
    assert "old" not in written
    assert (tmp_path / "database.svg").read_text(encoding="utf-8").startswith("<svg ")


async def test_the_picture_has_every_table_and_fits(schema: Schema) -> None:
    root = ET.fromstring(draw(schema))
    width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {table.name for table in schema.tables if not table.name.endswith("_default")} <= words
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        right = float(box.get("x", "0")) + float(box.attrib["width"])
        bottom = float(box.get("y", "0")) + float(box.attrib["height"])
        assert right <= width
        assert bottom <= height


async def test_a_table_without_a_place_and_a_line_across_are_refused(schema: Schema) -> None:
    stray = dataclasses.replace(schema, tables=(*schema.tables, Table("strays", "", partitioned=False)))
    with pytest.raises(LookupError, match="the table strays belongs to no system"):
        draw(stray)
    across = Constraint("story_scenes", "story_scenes_mission_fkey", "f", "", "missions", ("mission_id",))
    with pytest.raises(ValueError, match="leads to another column"):
        draw(dataclasses.replace(schema, constraints=(*schema.constraints, across)))
