"""The file a backup is: sealed, and refused when anything about it is not as it was sealed."""

import random
from pathlib import Path

import pytest

from persistence.backup_file import DUMP_MAGIC, Manifest, seal, sha256_of, sound_backup
from persistence.contents import AppliedRevision, Contents
from persistence.errors import BackupUnusable, SetupFailed
from persistence.migrations.migrate import Revision

ONE = Revision("0001", "one", "CREATE TABLE one (id int)", "DROP TABLE one")
TWO = Revision("0002", "two", "CREATE TABLE two (id int)", "DROP TABLE two")
KNOWN = (ONE, TWO)
DUMP = DUMP_MAGIC + random.Random(1).randbytes(3_000)


def applied(*revisions: Revision) -> Contents:
    rows = tuple(AppliedRevision(revision.id, revision.name, revision.checksum) for revision in revisions)
    return Contents(rows, {"one": 1, "schema_migrations": len(rows)}, 0, "")


def make(path: Path, contents: Contents | None = None, *, dump: bytes = DUMP) -> Manifest:
    path.write_bytes(dump)
    with path.open("r+b") as file:
        checksum = sha256_of(file, len(dump))
        manifest = Manifest("1.2.3", 18, "2026-01-01T00:00:00Z", contents or applied(ONE), len(dump), checksum)
        assert seal(file, manifest) == path.stat().st_size
    return manifest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game.backup"


def refusal(path: Path, *, revisions: tuple[Revision, ...] = KNOWN) -> str:
    with pytest.raises(BackupUnusable) as caught, sound_backup(path, revisions=revisions):
        pass
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith((".", ")"))
    return sentence


def test_what_was_sealed_is_read_again_and_the_dump_comes_first(path: Path) -> None:
    manifest = make(path, applied(ONE, TWO))
    with sound_backup(path, revisions=KNOWN) as backup:
        assert backup.manifest == manifest
        assert backup.size_bytes == path.stat().st_size
        backup.file.seek(0)
        assert backup.file.read(len(DUMP)) == DUMP


def test_every_flipped_bit_is_found(path: Path) -> None:
    make(path)
    sound = path.read_bytes()
    positions = {0, 4, len(DUMP_MAGIC), len(DUMP) - 1, len(DUMP), *range(len(DUMP), len(sound)), *range(5, 3_000, 97)}
    for position in sorted(positions):
        flipped = bytearray(sound)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        refusal(path)


def test_a_file_that_was_cut_off_anywhere_is_refused(path: Path) -> None:
    make(path)
    sound = path.read_bytes()
    for size in (0, 1, 5, 100, len(DUMP), len(DUMP) + 10, len(sound) - 100, len(sound) - 1):
        path.write_bytes(sound[:size])
        sentence = refusal(path)
        assert ("without the seal" in sentence) == (size >= len(DUMP_MAGIC))


@pytest.mark.parametrize("change", [lambda sound: b"x" + sound, lambda sound: sound + b"\n", lambda sound: sound * 2])
def test_a_file_with_something_added_is_refused(path: Path, change: object) -> None:
    make(path)
    assert callable(change)
    path.write_bytes(change(path.read_bytes()))
    refusal(path)


def test_other_files_are_told_apart(path: Path) -> None:
    path.write_text("CREATE TABLE players (id int);\n" * 100)
    assert "is no backup made by `gameserver backup`" in refusal(path)
    path.write_bytes(DUMP)
    assert "something else made it" in refusal(path)


def test_a_newer_format_and_a_manifest_of_another_shape(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("persistence.backup_file.FORMAT", 2)
        make(path)
    assert "made by a newer server (format 2); upgrade this one" in refusal(path)
    monkeypatch.setattr("msgspec.json.encode", lambda _: b"{}")
    make(path)
    assert "a manifest that this server does not understand" in refusal(path)


def test_a_schema_that_this_server_does_not_know(path: Path) -> None:
    make(path, applied(ONE, TWO))
    assert "schema revision 0002, which this server does not know; restore it with the server" in refusal(
        path, revisions=(ONE,)
    )
    drifted = Revision("0001", "one", "CREATE TABLE one (id bigint)", "DROP TABLE one")
    assert "schema revision 0001 from another text than this server's" in refusal(path, revisions=(drifted, TWO))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(SetupFailed, match=f"The backup {path} cannot be read"), sound_backup(path):
            pass
