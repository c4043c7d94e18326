import struct

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from loadtest.ws_client import (
    ABNORMAL,
    MAX_MESSAGE_BYTES,
    NO_STATUS,
    Closed,
    FrameReader,
    Opcode,
    ProtocolError,
    WebSocket,
    client_frame,
    read_close,
)
from tests.fakes.wsproto_server import WsprotoServer

SIZES = [0, 1, 3, 4, 5, 125, 126, 127, 65_535, 65_536, 100_000]
PROTOCOL = "ppj.v1.msgpack"


def read(reader: FrameReader) -> list[tuple[int, bytes]]:
    found = []
    while (message := reader.next_message()) is not None:
        found.append((message.opcode, message.payload))
    return found


def open_socket(url: str, timeout_s: float = 10.0) -> WebSocket:
    return WebSocket.open(url, subprotocol=PROTOCOL, timeout_s=timeout_s)


# what we send, read by wsproto


@pytest.mark.parametrize("size", SIZES)
def test_wsproto_reads_our_frames(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    server = Connection(wsproto.ConnectionType.SERVER)
    server.receive_data(client_frame(Opcode.BINARY, payload))
    events = list(server.events())
    assert b"".join(bytes(event.data) for event in events if isinstance(event, BytesMessage)) == payload
    last = events[-1]
    assert isinstance(last, Message)
    assert last.message_finished


def test_two_frames_of_the_same_payload_are_masked_differently() -> None:
    frames = {client_frame(Opcode.BINARY, b"the same") for _ in range(16)}
    assert len(frames) > 1


@pytest.mark.parametrize(("opcode", "event"), [(Opcode.PING, Ping(b"x")), (Opcode.PONG, Pong(b"x"))])
def test_wsproto_reads_our_control_frames(opcode: int, event: Event) -> None:
    server = Connection(wsproto.ConnectionType.SERVER)
    server.receive_data(client_frame(opcode, b"x"))
    assert list(server.events()) == [event]


# what wsproto sends, read by us


@given(
    st.lists(
        st.one_of(
            st.lists(st.binary(max_size=300), min_size=1, max_size=3),
            st.sampled_from(SIZES).map(lambda size: [b"z" * size]),
            st.binary(max_size=20),
        ),
        max_size=6,
    ),
    st.integers(1, 200),
)
def test_we_read_wsprotos_frames_in_any_pieces(script: list[list[bytes] | bytes], piece_bytes: int) -> None:
    server = Connection(wsproto.ConnectionType.SERVER)
    sent, expected = b"", []
    for entry in script:
        if isinstance(entry, bytes):
            sent += server.send(Ping(entry))
            expected.append((int(Opcode.PING), entry))
            continue
        for index, fragment in enumerate(entry):
            is_last = index == len(entry) - 1
            sent += server.send(BytesMessage(fragment, message_finished=is_last))
            if not is_last:  # a control frame may come between fragments
                sent += server.send(Ping(b"between"))
                expected.append((int(Opcode.PING), b"between"))
        expected.append((int(Opcode.BINARY), b"".join(entry)))
    reader, found = FrameReader(), []
    for begin in range(0, len(sent), max(piece_bytes, len(sent) // 50 or 1)):
        reader.feed(sent[begin : begin + max(piece_bytes, len(sent) // 50 or 1)])
        found += read(reader)
    assert found == expected


@given(st.binary(max_size=60))
def test_any_bytes_are_messages_or_a_protocol_error(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(data)
    try:
        messages = read(reader)
    except ProtocolError:
        return
    assert sum(len(payload) for _, payload in messages) <= len(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xc2\x00", "extension"),
        (b"\x83\x00", "extension"),
        (b"\x82\x81\x00\x00\x00\x00x", "masked"),
        (b"\x09\x00", "control"),
        (b"\x89\x7e\x00\x7e" + bytes(126), "control"),
        (b"\x80\x00", "continuation of nothing"),
        (b"\x02\x01x\x82\x01y", "inside a fragmented"),
        (b"\x82\x7e\x00\x7d" + bytes(125), "shortest"),
        (b"\x82\x7f" + struct.pack(">Q", 65_535) + bytes(65_535), "shortest"),
        (b"\x82\x7f" + struct.pack(">Q", MAX_MESSAGE_BYTES + 1), "more than"),
        (b"\x82\x7f" + struct.pack(">Q", 1 << 63), "more than"),
        ((b"\x02\x7f" + struct.pack(">Q", MAX_MESSAGE_BYTES) + bytes(MAX_MESSAGE_BYTES)) + b"\x80\x01x", "more than"),
    ],
)
def test_what_no_server_may_send_is_a_protocol_error(data: bytes, why: str) -> None:
    reader = FrameReader()
    reader.feed(data)
    with pytest.raises(ProtocolError, match=why):
        read(reader)


def test_a_close_frame_is_read() -> None:
    assert read_close(b"") == (NO_STATUS, "")
    assert read_close(struct.pack(">H", 4000) + "stop – now".encode()) == (4000, "stop – now")
    for bad in (b"\x03", b"\x03\xe8\xff"):
        with pytest.raises(ProtocolError):
            read_close(bad)


# over a real socket


def test_upgrade_messages_and_closing_in_order() -> None:
    seen: list[Event] = []

    def script(server: WsprotoServer) -> None:
        seen.append(server.receive())
        server.send(Ping(b"there?"))
        server.send(BytesMessage(b"ans", message_finished=False))
        server.send(BytesMessage(b"wer"))
        seen.append(server.receive())
        close = server.receive()
        seen.append(close)
        assert isinstance(close, CloseConnection)
        server.send(close.response())

    with WsprotoServer(script) as server:
        client = open_socket(server.url)
        client.send(b"question")
        assert client.receive() == b"answer"
        client.close()
    assert seen == [BytesMessage(b"question"), Pong(b"there?"), CloseConnection(code=1000, reason="")]
    assert server.request is not None
    assert (server.request.target, server.request.subprotocols) == ("/ws?x=1", [PROTOCOL])
    assert server.request.extensions == []


def test_a_frame_right_behind_the_upgrade_is_not_lost() -> None:
    early = Connection(wsproto.ConnectionType.SERVER).send(BytesMessage(b"early"))
    with WsprotoServer(early=early) as server:
        client = open_socket(server.url)
        assert client.receive() == b"early"
        client.drop()


def test_the_servers_close_is_answered_and_told() -> None:
    seen: list[Event] = []

    def script(server: WsprotoServer) -> None:
        server.send(CloseConnection(code=4000, reason="drain"))
        seen.append(server.receive())

    with WsprotoServer(script) as server:
        client = open_socket(server.url)
        with pytest.raises(Closed, match="4000 drain") as caught:
            client.receive()
    assert caught.value.code == 4000
    assert seen == [CloseConnection(code=4000, reason="")]


def test_an_end_without_a_close_frame() -> None:
    with WsprotoServer() as server, pytest.raises(Closed) as caught:
        open_socket(server.url).receive()
    assert caught.value.code == ABNORMAL


def test_text_is_a_protocol_error() -> None:
    with WsprotoServer(lambda server: server.send(TextMessage("hello"))) as server:
        client = open_socket(server.url)
        with pytest.raises(ProtocolError, match="text"):
            client.receive()


def test_silence_is_a_timeout() -> None:
    def script(server: WsprotoServer) -> None:
        server.receive()

    with WsprotoServer(script) as server:
        client = open_socket(server.url, timeout_s=0.05)
        with pytest.raises(TimeoutError):
            client.receive()
        client.drop()


def test_what_does_not_come_in_time_is_no_fault_and_comes_later() -> None:
    def script(server: WsprotoServer) -> None:
        server.receive()
        server.send(BytesMessage(b"answer"))
        server.receive()
        server.send(CloseConnection(code=4000, reason="drain"))
        server.receive()

    with WsprotoServer(script) as server:
        client = open_socket(server.url, timeout_s=10)
        assert client.receive_within(0.01) is None
        client.send(b"question")
        assert client.receive_within(10) == b"answer"
        client.send(b"question")
        with pytest.raises(Closed, match="4000 drain"):
            client.receive_within(10)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\nsupported: ppj.v1.msgpack", "400 Bad Request"),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "sec-websocket-accept"),
        (b"HTTP/1.1 101 Switching", "ended the connection"),
        (b"HTTP/1.1 101 " + b"x" * 20_000, "no end"),
    ],
)
def test_a_refused_or_wrong_upgrade_is_a_protocol_error(answer: bytes, why: str) -> None:
    with WsprotoServer(answer=answer) as server, pytest.raises(ProtocolError, match=why):
        open_socket(server.url)


def test_opcodes_are_those_of_the_other_hand() -> None:
    assert {opcode.name: int(opcode) for opcode in Opcode} == {opcode.name: int(opcode) for opcode in WsprotoOpcode}
