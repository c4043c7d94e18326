import unicodedata

import bcrypt
import pytest
import trio

from gameserver.errors import Busy, InvalidArgument
from gameserver.identity.passphrases import MAX_BYTES, MAX_WAITING, MIN_CHARS, THREADS, Passphrases, checked

PHRASE = b"correct horse battery staple"


@pytest.mark.parametrize(
    "passphrase",
    [
        "",
        "x" * (MIN_CHARS - 1),
        "x" * (MAX_BYTES + 1),
        "ä" * (MAX_BYTES // 2 + 1),
        "twelve chars\x00",
        "a\nb" * 9,
        "\ud800" * 20,
    ],
)
def test_what_no_passphrase_can_be(passphrase: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked(passphrase)
    assert not passphrase or passphrase not in str(refused.value)


def test_what_a_passphrase_can_be() -> None:
    assert checked("x" * MIN_CHARS) == b"x" * MIN_CHARS
    assert checked("x" * MAX_BYTES) == b"x" * MAX_BYTES
    typed = "é" * MIN_CHARS
    assert checked(unicodedata.normalize("NFD", typed)) == checked(typed), "however the keyboard composes it"


async def test_a_hash_matches_its_passphrase_and_no_other() -> None:
    cheap = Passphrases(cost=4)
    kept, again = await cheap.hash(PHRASE), await cheap.hash(PHRASE)
    assert kept != again, "salted"
    assert kept.startswith("$2b$04$")
    assert await cheap.matches(PHRASE, kept)
    assert not await cheap.matches(PHRASE + b"s", kept)
    assert not await cheap.matches(b"x" * MAX_BYTES, await cheap.hash(b"x" * (MAX_BYTES - 1) + b"y"))


async def test_where_nothing_is_kept_nothing_matches_after_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[bytes] = []
    check = bcrypt.checkpw

    def noted(given: bytes, kept: bytes) -> bool:
        costs.append(kept[:7])
        return check(given, kept)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    cheap = Passphrases(cost=4)
    assert not await cheap.matches(PHRASE, None)
    assert not await cheap.matches(PHRASE, await cheap.hash(b"another passphrase"))
    assert costs == [b"$2b$04$"] * 2


async def test_it_holds_neither_the_loop_nor_more_than_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come, two threads work, some wait, and the rest is told to come again."""
    at_work, done = [0], trio.Event()
    most = [0]

    def slow(given: bytes, kept: bytes) -> bool:
        del given, kept
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        trio.from_thread.run(done.wait)
        at_work[0] -= 1
        return True

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    cheap = Passphrases(cost=4)
    outcomes: list[bool | None] = []

    async def come() -> None:
        try:
            outcomes.append(await cheap.matches(PHRASE, None))
        except Busy as busy:
            assert busy.retry_after_ms > 0  # noqa: PT017 - others go on
            outcomes.append(None)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for _ in range(THREADS + MAX_WAITING + 3):
                nursery.start_soon(come)
            while len(outcomes) < 3 or at_work[0] < THREADS:
                await trio.lowlevel.checkpoint()
            assert outcomes == [None] * 3
            done.set()
    assert outcomes == [None] * 3 + [True] * (THREADS + MAX_WAITING)
    assert most[0] == THREADS
