import pytest

from loadtest.phases import Phase, parse_phase, ring_for


def test_a_phase_is_read_with_its_settings() -> None:
    assert parse_phase("closed:window=8,s=2.5,actions=0.5,name=x") == Phase(
        "closed", window=8, s=2.5, actions=0.5, name="x"
    )
    assert parse_phase("storm") == Phase("storm")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("dance", "there is no phase 'dance'"),
        ("open", "an open loop needs a rate"),
        ("open:rate=many", "'many' is no value for rate"),
        ("closed:window", "'window' is no setting"),
        ("closed:speed=1", "'speed=1' is no setting"),
        ("closed:kind=open", "'kind=open' is no setting"),
        ("closed:window=0", "too small"),
        ("closed:s=-1", "too small"),
        ("closed:actions=1.5", "a share is between 0 and 1"),
        ("closed:taps=101", "1 to 100 taps"),
        ("closed:think_ms=5,window=2", "one request at a time"),
    ],
)
def test_nonsense_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_phase(text)


def test_a_connection_has_room_for_its_window_and_for_a_stall_of_ten_seconds() -> None:
    assert ring_for([], 1) == 16
    assert ring_for([Phase("closed", window=17)], 1) == 32
    assert ring_for([Phase("closed"), Phase("open", rate=40_000)], 10_000) == 64
    assert ring_for([Phase("open", rate=10_000)], 100) == 1024
