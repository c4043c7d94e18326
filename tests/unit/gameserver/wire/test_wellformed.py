import pytest

from gameserver.errors import Malformed
from gameserver.wire.ops import MAX_DEPTH
from gameserver.wire.wellformed import check_wellformed

GOOD = {
    "nil": "c0",
    "false": "c2",
    "true": "c3",
    "fixint": "7f",
    "negative fixint": "e0",
    "uint8": "cc80",
    "uint16": "cd8000",
    "uint32": "ce80000000",
    "uint64": "cf8000000000000000",
    "int8": "d080",
    "int16": "d18000",
    "int32": "d280000000",
    "int64": "d38000000000000000",
    "float32": "ca7fc00000",
    "float64": "cb7ff8000000000000",
    "fixstr": "a3e282ac",
    "str8": "d90161",
    "str16": "da000161",
    "str32": "db0000000161",
    "bin8": "c401ff",
    "bin16": "c50001ff",
    "bin32": "c600000001ff",
    "fixarray": "920102",
    "array16": "dc00020102",
    "array32": "dd000000020102",
    "fixmap": "81a16101",
    "map16": "de0001a16101",
    "map32": "df00000001a16101",
    "scalar keys": "86c001c20201030405ca000000000607c40108",
    "nested": "9281a16191c080",
}

BAD = {
    "nothing": "",
    "reserved byte": "c1",
    "fixext1": "d40100",
    "fixext2": "d5010000",
    "fixext4 timestamp": "d6ff00000000",
    "fixext8 timestamp": "d7ff0000000000000000",
    "fixext16": "d801" + "00" * 16,
    "ext8 timestamp": "c70cff" + "00" * 12,
    "ext16": "c8000101ff",
    "ext32": "c90000000101ff",
    "timestamp as a key": "81d6ff0000000001",
    "timestamp under a key that comes twice": "82a161d6ff00000000a16101",
    "array as a key": "819001",
    "map as a key": "818001",
    "bad UTF-8": "a1ff",
    "surrogate": "a3eda080",
    "bad UTF-8 in a key": "81a1ff01",
    "str8 cut in its length": "d9",
    "str32 cut in its length": "db000000",
    "huge string": "dbffffffff61",
    "huge binary": "c6ffffffff00",
    "huge array": "ddffffffff01",
    "huge map": "dfffffffff0101",
    "array cut": "9201",
    "map cut": "81a161",
    "integer cut": "cd00",
    "trailing byte": "9000",
    "trailing value": "9090",
}


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD.keys())
def test_every_kind_of_value_passes(value: str) -> None:
    check_wellformed(bytes.fromhex(value))


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD.keys())
def test_a_value_cut_anywhere_is_malformed(value: str) -> None:
    whole = bytes.fromhex(value)
    for end in range(len(whole)):
        with pytest.raises(Malformed):
            check_wellformed(whole[:end])


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_what_is_no_value_of_the_protocol_is_malformed(value: str) -> None:
    with pytest.raises(Malformed) as raised:
        check_wellformed(bytes.fromhex(value))
    assert raised.value.seq == 0
    assert not raised.value.consumes_seq


@pytest.mark.parametrize("level", [b"\x91", b"\x81\x00"], ids=["arrays", "maps"])
def test_depth_is_bounded_at_the_same_depth_whatever_the_stack(level: bytes) -> None:
    check_wellformed(level * MAX_DEPTH + b"\x00")
    with pytest.raises(Malformed, match="inside each other"):
        check_wellformed(level * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(Malformed):
        check_wellformed(level * 2_000)


def test_siblings_do_not_add_up_to_depth() -> None:
    check_wellformed(b"\xdc\x04\x00" + b"\x91\x00" * 1024)
