"""The client model's queue, as docs/client.md describes it."""

import pytest

from tests.fault.client_queue import IN_FLIGHT, ClientQueue
from tests.fault.history import TAP, LineageHistory


@pytest.fixture
def queue() -> ClientQueue:
    """One with a tap, an action and a tap."""
    made = ClientQueue(LineageHistory("c1", "player", b"l" * 16))
    made.add(TAP, count=2)
    made.add("noop")
    made.add(TAP, count=3)
    return made


def due(queue: ClientQueue) -> list[int]:
    return [operation.seq for operation in queue.due()]


def test_everything_is_sent_once_and_in_order(queue: ClientQueue) -> None:
    assert due(queue) == [1, 2, 3]
    assert due(queue) == []
    assert sorted(queue.history.operations) == [1, 2, 3]


def test_what_is_answered_and_durable_is_forgotten_and_nothing_else(queue: ClientQueue) -> None:
    due(queue)
    queue.told_durable(2)
    assert len(queue) == 3
    for seq in (1, 2, 3):
        queue.answered(seq)
    queue.told_durable(2)
    assert len(queue) == 1
    queue.told_durable(1)  # an older frame
    assert queue.durable_seq == 2


def test_a_bounded_number_is_on_the_wire(queue: ClientQueue) -> None:
    for _ in range(IN_FLIGHT):
        queue.add("noop")
    assert due(queue) == list(range(1, IN_FLIGHT + 1))
    queue.answered(1)
    assert due(queue) == [IN_FLIGHT + 1]


def test_after_a_welcome_what_is_above_it_comes_again_and_every_unanswered_action(queue: ClientQueue) -> None:
    due(queue)
    for seq in (1, 3):
        queue.answered(seq)
    queue.resume(applied_seq=2, durable_seq=0)
    assert due(queue) == [2, 3]  # the action for its answer, the tap because the server has lost it
    assert (queue.unanswered_taps, queue.unanswered_actions) == (3, 1)


def test_a_tap_that_was_applied_is_not_sent_again(queue: ClientQueue) -> None:
    due(queue)
    queue.resume(applied_seq=3, durable_seq=1)
    assert due(queue) == [2]
    assert len(queue) == 2


def test_going_back_sends_everything_from_there_on_again(queue: ClientQueue) -> None:
    due(queue)
    queue.answered(1)
    assert queue.go_back(2)
    assert not queue.go_back(3)  # its echo
    assert due(queue) == []
    queue.unblock()
    assert due(queue) == [2, 3]


def test_a_new_socket_ends_the_block(queue: ClientQueue) -> None:
    due(queue)
    queue.go_back(1)
    queue.resume(applied_seq=0, durable_seq=0)
    assert due(queue) == [1, 2, 3]


def test_only_what_is_answered_may_be_repeated(queue: ClientQueue) -> None:
    due(queue)
    queue.answered(2)
    assert [operation.seq for operation in queue.answered_already()] == [2]
