import pytest

from gameserver.wire.ops import CloseCode, Op, Reconnect, goodbye_precedes, may_reconnect, reconnect_policy


def test_client_ops_are_small_and_server_ops_begin_at_64() -> None:
    assert [op for op in Op if op < 64] == [Op.HELLO, Op.TAP, Op.ACTION, Op.PING]
    assert [int(op) for op in Op if op >= 64] == list(range(64, 72))


@pytest.mark.parametrize(
    ("codes", "policy"),
    [
        ((1000, 1001, 1006, 1011, 1005, 3000), Reconnect.BACKOFF),
        ((1002, 1003, 1007, 1009), Reconnect.THRICE),
        ((4000, 4001, 4008, 4009, 4010, 4011, 4029, 4499), Reconnect.JITTER),
        ((4500, 4501, 4503, 4509, 4510, 4526, 4999), Reconnect.STOP),
    ],
)
def test_the_range_of_a_close_code_is_the_policy(codes: tuple[int, ...], policy: Reconnect) -> None:
    assert {reconnect_policy(code) for code in codes} == {policy}
    assert {may_reconnect(code) for code in codes} == {policy is not Reconnect.STOP}


@pytest.mark.parametrize("code", CloseCode)
def test_goodbye_precedes_every_4xxx_and_no_1xxx(code: CloseCode) -> None:
    assert goodbye_precedes(code) == (code >= 4000)
