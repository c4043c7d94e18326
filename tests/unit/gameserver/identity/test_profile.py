import dataclasses
import itertools
from uuid import UUID

import pytest

from gameserver.errors import InvalidArgument
from gameserver.identity.profile import LOCALE, checked_name, may_see, rank_name, visible
from persistence.profile_store import Audience, Privacy, Relation, SeenProfile

SEEN = SeenProfile(
    player=UUID(int=1),
    display_name="Ada",
    generation=1,
    title=None,
    community=None,
    achievements=0,
    badges=0,
    invited=0,
    xp=0,
    influence=0,
    supporters=0,
    created_at_ms=1,
    last_seen_at_ms=0,
    playing=False,
    shown=True,
    relation=Relation.STRANGER,
    privacy=Privacy(),
)


def test_who_may_see_what() -> None:
    allowed = {
        (audience, relation)
        for audience, relation in itertools.product(Audience, Relation)
        if may_see(audience, relation)
    }
    assert allowed == {
        (Audience.EVERYONE, Relation.SELF),
        (Audience.FRIENDS, Relation.SELF),
        (Audience.NOBODY, Relation.SELF),
        (Audience.EVERYONE, Relation.FRIEND),
        (Audience.FRIENDS, Relation.FRIEND),
        (Audience.EVERYONE, Relation.STRANGER),
    }


@pytest.mark.parametrize("relation", list(Relation))
@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(("profile", "rank", "status"), list(itertools.product(Audience, repeat=3)))
def test_nothing_is_seen_of_who_is_not(
    relation: Relation, shown: bool, profile: Audience, rank: Audience, status: Audience
) -> None:
    seen = dataclasses.replace(SEEN, relation=relation, shown=shown, privacy=Privacy(profile, rank, status))
    found = visible(seen)
    if relation is Relation.SELF:
        assert found is not None
        assert (found.rank, found.status) == (True, True)
    elif not shown or relation is Relation.BLOCKED or not may_see(profile, relation):
        assert found is None
    else:
        assert found is not None
        assert (found.rank, found.status) == (may_see(rank, relation), may_see(status, relation))


@pytest.mark.parametrize("name", ["", " ", " Ada", "Ada ", "A  da", "A\tda", "A\u202eda", "A\u200bda", "x" * 65])
def test_names_nobody_can_have(name: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_name(name)


def test_names_have_one_form() -> None:
    assert checked_name("Ade\u0301") == "Adé"
    assert checked_name("x" * 64) == "x" * 64
    assert checked_name("李 雷") == "李 雷"


@pytest.mark.parametrize(
    ("locale", "good"), [("de", True), ("pt-BR", True), ("fil", True), ("DE", False), ("de-de", False), ("d", False)]
)
def test_locales(locale: str, good: bool) -> None:
    assert bool(LOCALE.fullmatch(locale)) is good


def test_ranks_have_names() -> None:
    assert [rank_name(xp) for xp in (0, 8_100, 980_100)] == ["Novice", "Adept", "Mythic"]
