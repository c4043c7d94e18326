"""The file that a backup is: a dump of PostgreSQL's own, a manifest, and a seal.

    dump       what `pg_dump --format=custom` writes, from the first byte on: plain pg_restore reads the file too
    manifest   JSON: where the dump is from, what it holds, its length and SHA-256
    seal       one line of fixed length: our name, the format, the manifest's length, SHA-256 of all that

The seal comes last: a file that was cut off has none. A file is read whole and checked before anything is done with it.
The checksums find accidents, not forgeries: a dump is a program for the database, so restore only what you trust.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from persistence.contents import Contents
from persistence.errors import BackupUnusable, SetupFailed
from persistence.migrations.migrate import REVISIONS, Revision

FORMAT = 1
DUMP_MAGIC = b"PGDMP"  #: how every archive of pg_dump begins
_NAME = b"people-power-journey backup"
_SEAL = re.compile(rb"\n%s (\d{4}) (\d{12}) ([0-9a-f]{64})\n" % _NAME)
_SEAL_BYTES = len(_NAME) + 2 + 4 + 1 + 12 + 1 + 64 + 1
_CHUNK_BYTES = 1024 * 1024


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    server_version: str  #: of the game server that made it
    postgres_major: int
    created_at: str  #: UTC, ISO 8601: the instant that the data are of
    contents: Contents
    dump_bytes: int
    dump_sha256: str


@dataclass(frozen=True, slots=True)
class SoundBackup:
    """A backup that has been checked whole.

    Args:
        path: its name, for messages.
        file: open for reading; the dump begins at its beginning.
        manifest: what it says of itself.
        size_bytes: of the whole file.
    """

    path: Path
    file: BinaryIO
    manifest: Manifest
    size_bytes: int


def sha256_of(file: BinaryIO, size_bytes: int) -> str:
    """SHA-256, in hex, of the first `size_bytes` of a file."""
    digest = hashlib.sha256()
    file.seek(0)
    while size_bytes > 0 and (chunk := file.read(min(size_bytes, _CHUNK_BYTES))):
        digest.update(chunk)
        size_bytes -= len(chunk)
    return digest.hexdigest()


def seal(file: BinaryIO, manifest: Manifest) -> int:
    """Write manifest and seal behind the dump, and all of it to the disk; returns the file's size in bytes."""
    text = msgspec.json.encode(manifest)
    numbers = b"%04d %012d" % (FORMAT, len(text))
    file.seek(0, os.SEEK_END)
    file.write(text + b"\n%s %s %s\n" % (_NAME, numbers, _seal_hash(text, numbers)))
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


@contextmanager
def sound_backup(path: Path, *, revisions: Sequence[Revision] = REVISIONS) -> Iterator[SoundBackup]:
    """A backup that has been read whole and found to be sound, made by this game, and of a schema this server knows.

    Raises:
        BackupUnusable: it is not; the sentence says what it is.
        SetupFailed: it cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise SetupFailed(f"The backup {path} cannot be read ({error.strerror}).") from error
    with file:
        try:
            manifest, size_bytes = _checked(path, file)
        except OSError as error:
            raise SetupFailed(f"The backup {path} cannot be read ({error.strerror}).") from error
        _refuse_unknown_revisions(path, manifest, revisions)
        yield SoundBackup(path, file, manifest, size_bytes)


def _checked(path: Path, file: BinaryIO) -> tuple[Manifest, int]:
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _SEAL_BYTES))
    match = _SEAL.fullmatch(file.read(_SEAL_BYTES))
    if match is None:
        file.seek(0)
        if file.read(len(DUMP_MAGIC)) == DUMP_MAGIC:
            raise BackupUnusable(
                f"{path} is a dump of PostgreSQL without the seal of `gameserver backup`: "
                "it was cut off or damaged, or something else made it."
            )
        raise BackupUnusable(f"{path} is no backup made by `gameserver backup`.")
    version, length, checksum = match.groups()
    manifest_at = size_bytes - _SEAL_BYTES - int(length)
    text = b""
    if manifest_at >= 0:
        file.seek(manifest_at)
        text = file.read(int(length))
    if _seal_hash(text, b"%s %s" % (version, length)) != checksum:
        raise _damaged(path)
    if int(version) != FORMAT:
        raise BackupUnusable(f"{path} was made by a newer server (format {int(version)}); upgrade this one.")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupUnusable(f"{path} has a manifest that this server does not understand ({error}).") from error
    if manifest.dump_bytes != manifest_at or sha256_of(file, manifest_at) != manifest.dump_sha256:
        raise _damaged(path)
    return manifest, size_bytes


def _damaged(path: Path) -> BackupUnusable:
    return BackupUnusable(f"{path} is damaged: its contents do not match its checksum; take another backup.")


def _refuse_unknown_revisions(path: Path, manifest: Manifest, revisions: Sequence[Revision]) -> None:
    known = {revision.id: revision.checksum for revision in revisions}
    for applied in manifest.contents.revisions:
        if applied.revision not in known:
            raise BackupUnusable(
                f"{path} has schema revision {applied.revision}, which this server does not know; "
                f"restore it with the server that made it ({manifest.server_version}) or a newer one."
            )
        if applied.checksum != known[applied.revision]:
            raise BackupUnusable(
                f"{path} has schema revision {applied.revision} from another text than this server's; "
                f"restore it with the server that made it ({manifest.server_version})."
            )


def _seal_hash(text: bytes, numbers: bytes) -> bytes:
    return hashlib.sha256(text + numbers).hexdigest().encode()
