"""Messages over a socket: whole, in order, and the other side's nonsense is an error."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from eval.sandbox.talk import codec
from eval.sandbox.talk.channel import Channel, ChannelClosedError
from eval.sandbox.talk.codec import CodecError

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize("message", [None, True, 0, "a\ud800\0", [], {"a": [1, {"b": None}]}])
def test_messages_arrive_in_order(ends: Ends, message: Any) -> None:
    here, there = Channel(ends[0].fileno()), Channel(ends[1].fileno())
    for number in range(3):
        here.send([number, message])
    assert [there.receive() for _ in range(3)] == [[number, message] for number in range(3)]


def test_a_message_larger_than_the_sockets_buffer(ends: Ends) -> None:
    message = ["x" * 1000] * 5000
    here, there = Channel(ends[0].fileno()), Channel(ends[1].fileno())
    sender = threading.Thread(target=here.send, args=(message,))
    sender.start()
    assert there.receive() == message
    sender.join()


def test_a_message_that_comes_byte_by_byte(ends: Ends) -> None:
    def send() -> None:
        for byte in frame(b'{"a": [1]}') * 2:
            ends[0].sendall(bytes([byte]))

    sender = threading.Thread(target=send)
    sender.start()
    there = Channel(ends[1].fileno())
    assert [there.receive(), there.receive()] == [{"a": [1]}] * 2
    sender.join()


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"\1", b"\0\0\0", frame(b"[1]")[:-1], (1 << 20).to_bytes(4, "little") + b"[" * 9,
        frame(b""), frame(b"["), frame(b"\xff"), frame(b"passed"), frame(b"[" * 50_000),
        frame(b"{'a': 1}"), frame(b"1" * 50_000), (codec.MOST_BYTES + 1).to_bytes(4, "little"),
        b"\xff" * 100, b'{"passed": true}\n',
    ],
    ids=lambda sent: repr(sent[:20]),
)  # fmt: skip
def test_cut_frames_and_garbage_are_the_end(ends: Ends, sent: bytes) -> None:
    def send() -> None:
        ends[0].sendall(sent)
        ends[0].shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(ChannelClosedError):
        Channel(ends[1].fileno()).receive()
    sender.join()


def test_a_frame_that_is_too_long_is_not_waited_for(ends: Ends) -> None:
    ends[0].sendall((codec.MOST_BYTES + 1).to_bytes(4, "little"))  # and the socket stays open
    with pytest.raises(ChannelClosedError, match="too long"):
        Channel(ends[1].fileno()).receive()


def test_the_other_side_is_gone(ends: Ends) -> None:
    ends[1].close()
    here = Channel(ends[0].fileno())
    with pytest.raises(ChannelClosedError):
        here.receive()
    with pytest.raises(ChannelClosedError):
        here.send("x" * 10**6)


def test_a_closed_descriptor(ends: Ends) -> None:
    here = Channel(ends[0].fileno())
    ends[0].close()
    with pytest.raises(ChannelClosedError):
        here.send(1)
    with pytest.raises(ChannelClosedError):
        here.receive()


def test_nothing_is_sent_of_a_message_that_is_too_long(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "MOST_BYTES", 100)
    here, there = Channel(ends[0].fileno()), Channel(ends[1].fileno())
    with pytest.raises(CodecError, match="too many bytes"):
        here.send("x" * 101)
    here.send("short")
    assert there.receive() == "short"


def test_a_program_that_replaces_functions_does_not_change_the_channel(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Channel(ends[0].fileno()), Channel(ends[1].fileno())
    monkeypatch.setattr("os.write", None)
    monkeypatch.setattr("os.read", None)
    monkeypatch.setattr(codec, "dump", None)
    monkeypatch.setattr(codec, "load", None)
    here.send([1])
    assert there.receive() == [1]


def test_a_frame_is_four_bytes_and_json(ends: Ends) -> None:
    Channel(ends[0].fileno()).send({"a": "\u00e9"})
    sent = ends[1].recv(100)
    assert int.from_bytes(sent[:4], "little") == len(sent) - 4
    assert json.loads(sent[4:]) == {"a": "\u00e9"}
