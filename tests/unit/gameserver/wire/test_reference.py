import re
from pathlib import Path

import pytest

from gameserver.wire import messages, reference
from gameserver.wire.codec import decode_client, decode_server
from gameserver.wire.messages import Hello, HelloBody, Tap, Tapped

DOCUMENT = Path(__file__).parents[4] / "docs" / "wire.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def test_the_document_is_up_to_date(text: str) -> None:
    assert reference.render(text) == text, "run `python -m gameserver.wire.reference`"


def test_the_document_uses_every_table(text: str) -> None:
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == set(reference.BLOCKS)


def test_a_block_that_is_out_of_date_is_rewritten_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "wire.md"
    file.write_text("by hand\n<!-- generated: limits -->\nold\n<!-- end -->\nby hand too\n", encoding="utf-8")
    reference.main(str(file))
    written = file.read_text(encoding="utf-8")
    assert written.startswith("by hand\n<!-- generated: limits -->\n\n| key |")
    assert written.endswith("|\n\n<!-- end -->\nby hand too\n")
    assert "old" not in written
    assert all(f"`{name}`" in written for name in messages.Limits.__struct_fields__)


def example(text: str, name: str) -> bytes:
    block = re.search(rf"```{name}\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = [re.match(r"(?:[0-9a-f]{2} {1,2})+", line) for line in block[1].splitlines()]
    return b"".join(bytes.fromhex(line[0]) for line in lines if line)


def test_the_worked_example_is_what_goes_over_the_wire(text: str) -> None:
    assert decode_client(example(text, "hello")) == Hello(
        body=HelloBody(lineage=bytes(range(16)), device="d1", client="web/1", token="eyJ")
    )
    assert decode_client(example(text, "tap")) == Tap(1, 20, 950)
    assert decode_server(example(text, "tapped")) == Tapped(1, 20, 30_000, 20, 1, 980, 20, 0)
