"""The trusted side of a check: a problem's test runs here, and calls the program next door.

One process a program, forked from the warden, so that whatever a program's answers do to it is its
program's loss alone. The test's code is run unchanged; the function is a proxy that sends plain
arguments and receives plain results, so comparisons are made of exact built-in values here.
"""

import types
import warnings
from collections.abc import Callable
from typing import Any

from eval.sandbox.examples import check_examples
from eval.sandbox.talk.channel import Channel, ChannelClosedError
from eval.sandbox.talk.peer import LINE_CHARS, NoAnswerError, Peer, failed_line

REASON_BYTES = 500
VANISHED = {"kind": "vanished", "reason": ""}


class VanishedError(BaseException):
    """The program's process ended, or spoke no sense, where it owed an answer."""


class Remote(Peer):
    """The program next door. Raises VanishedError wherever it does not answer."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self.line = ""

    def ready(self) -> str:
        """Wait until the program's process stands behind its walls. Empty, or why it does not."""
        try:
            return str(self._channel.receive().get("refused", ""))
        except (ChannelClosedError, AttributeError):
            return "the program's process did not start"

    def load(self, source: str, entry: str) -> str:
        """Let the program run. Empty, or why it has no entry point."""
        return str(self.ask({"load": source, "entry": entry}).get("missing"))

    def find(self, names: list[str]) -> dict[str, Any]:
        """What the program has under these names."""
        found = self.ask({"find": names}).get("found")
        if not isinstance(found, dict):
            raise VanishedError
        return {name: self.value({"value": found[name]}) for name in names if name in found}

    def shown(self, source: str) -> tuple[str, str]:
        """What a statement prints in the program, and the last line of its error, if it has one."""
        reply = self.ask({"example": source})
        shown, error = reply.get("shown"), reply.get("error")
        if not isinstance(shown, str) or not isinstance(error, str):
            raise VanishedError
        return shown, error

    def entry(self, name: str) -> Callable[..., Any]:
        """A function that calls the program's entry point."""

        def function(*args: Any, **kwargs: Any) -> Any:
            return self.call("", args, kwargs)

        function.__name__ = function.__qualname__ = name
        return function

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            return super().ask(message)
        except (ChannelClosedError, NoAnswerError) as error:
            raise VanishedError from error

    def value(self, reply: dict[str, Any], arguments: list[Any] | None = None) -> Any:
        try:
            return super().value(reply, arguments)
        except NoAnswerError as error:
            raise VanishedError from error

    def exception(self, raised: Any) -> BaseException:
        error = super().exception(raised)
        line = raised.get("line")
        self.line = line[:LINE_CHARS] if isinstance(line, str) else ""
        return error


def judge(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """The verdict of a program: "kind", "reason" and, of a failed assertion, "line"."""
    remote = Remote(channel)
    refused = remote.ready()
    if refused:
        return {"kind": "infra_error", "reason": refused}
    warnings.simplefilter("ignore")
    try:
        compile(job["joined"], "<string>", "exec")
        if job["doctest"]:
            _check_examples(job, remote)
        else:
            _check(job, remote)
    except VanishedError:
        return dict(VANISHED)
    except BaseException as error:
        return {**told(error), "line": remote.line or failed_line(error, "<test>", job["test"])}
    return {"kind": "passed", "reason": ""}


def _check(job: dict[str, Any], remote: Remote) -> None:
    entry, test = job["entry"], compile(job["test"], "<test>", "exec")
    space: dict[str, Any] = {}
    if job["helpers"]:
        exec(compile(job["helpers"], "<prompt>", "exec"), space)
    missing = remote.load(job["source"], entry)
    function = None
    if entry and not missing:
        function = space[entry] = remote.entry(entry)
    # A program may have names of built-in functions, too.
    space.update(remote.find(sorted(_names(test) - space.keys())))
    exec(test, space)
    if job["check"]:
        if function is None:
            raise NameError(missing)
        space["check"](function)


def _check_examples(job: dict[str, Any], remote: Remote) -> None:
    """Nothing that is not ours runs here: sources go to the program, and texts come back."""
    missing = remote.load(job["source"], job["entry"])
    if missing:
        raise NameError(missing)
    check_examples(job["test"], remote.shown)


def _names(code: types.CodeType) -> set[str]:
    """The names that code uses, its functions' included."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def told(error: BaseException) -> dict[str, Any]:
    """An exception as a verdict."""
    kind = "failed"
    if isinstance(error, MemoryError):
        kind = "memory"
    elif isinstance(error, PermissionError):
        kind = "denied"
    return {"kind": kind, "reason": cut(str(error), REASON_BYTES)}


def cut(text: str, most_bytes: int) -> str:
    """The beginning of a text, of at most so many bytes as UTF-8."""
    octets = text.encode("utf-8", "surrogatepass")
    if len(octets) <= most_bytes:
        return text
    whole = octets[:most_bytes].decode("utf-8", "ignore")
    # "ignore" drops what is cut, but lone surrogates too: those are kept by a slower way.
    if len(whole.encode()) >= most_bytes - 3:
        return whole
    while len(octets) > most_bytes:
        text = text[: len(text) - max(1, (len(octets) - most_bytes) // 4)]
        octets = text.encode("utf-8", "surrogatepass")
    return text


def run_script(source: str, stdin: str, channel: Channel) -> dict[str, Any]:
    """Let a program that reads its standard input run; it tells nothing but its exit status."""
    remote = Remote(channel)
    refused = remote.ready()
    if refused:
        return {"kind": "infra_error", "reason": refused}
    try:
        remote.ask({"script": source, "stdin": stdin})
    except VanishedError:
        return dict(VANISHED)
    except BaseException as error:
        return told(error)
    return {"kind": "failed", "reason": "it answered instead of ending"}


def run_commands(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """How the commands that compile and run a program of another language ended."""
    remote = Remote(channel)
    refused = remote.ready()
    if refused:
        return {"kind": "infra_error", "reason": refused}
    language = job["commands"]
    message = {
        "run": language["commands"],
        "file": language["file"],
        "source": job["source"],
        "libraries": language["libraries"],
    }
    try:
        answer = remote.ask(message)
    except VanishedError:
        return dict(VANISHED)
    except BaseException as error:
        return told(error)
    status, number = answer.get("ended"), answer.get("command")
    if status == 0:
        return {"kind": "passed", "reason": ""}
    compiling = number != len(language["commands"]) - 1
    return {"kind": "failed", "reason": f"exit status {status}" + " of the compiler" * compiling}
