"""Messages over a socket between a walled-in program and its judge.

Each is four bytes of length (little-endian) and JSON. Standard library only.
"""

import os
from typing import Any

from eval.sandbox.talk import codec

# What the warden tells the process that waits for a program: kill it, or that it left its channel.
KILL, GONE = b"k", b"g"


class ChannelClosedError(Exception):
    """The other side is gone, or sent what is no message."""


class Channel:
    """One end of a pair of connected stream sockets.

    The functions that it needs are kept at hand: a program may replace them in their modules.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read, self._write = os.read, os.write
        self._dump, self._load = codec.dump, codec.load
        self._error = OSError

    def send(self, message: Any) -> None:
        """Send a message. Raises ChannelClosedError, and CodecError if it is too long."""
        left = memoryview(self._dump(message))
        try:
            while left:
                left = left[self._write(self._descriptor, left) :]
        except self._error as error:
            raise ChannelClosedError from error

    def receive(self) -> Any:
        """The next message. Raises ChannelClosedError."""
        size = int.from_bytes(self._exactly(4), "little")
        if size > codec.MOST_BYTES:
            raise ChannelClosedError("the message is too long")
        try:
            return self._load(self._exactly(size))
        except codec.CodecError as error:
            raise ChannelClosedError(str(error)) from error

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            try:
                piece = self._read(self._descriptor, min(size - len(found), 1 << 20))
            except self._error as error:
                raise ChannelClosedError from error
            if not piece:
                raise ChannelClosedError("the other side is gone")
            found += piece
        return bytes(found)
