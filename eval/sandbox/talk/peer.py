"""One side of the talk between a walled-in program and its judge. Both sides are alike.

    {"call": TARGET, "args": [...], "kwargs": {...}}       {"value": DATA}
    {"get": TARGET, "name": NAME}                          {"value": DATA}, of a public attribute
    {"set": TARGET, "name": NAME, "to": DATA}              {}

A target is the number of an object that this side has sent before, or, on the program's side, a
name. An exception is answered by {"raised": ...}. Whoever waits for an answer may be asked first: a
test may pass a function of its own, which the program calls.
"""

import builtins
import keyword
import types
from typing import Any

from eval.sandbox.talk.channel import Channel
from eval.sandbox.talk.codec import CodecError, Decoder, Encoder

TEXT_CHARS = 2_000
LINE_CHARS = 500
MOST_OBJECTS = 100_000
_REQUESTS = {"call", "get", "set"}
# Their public attributes lead to frames, and so to a test's variables.
_INNER = (
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)


class NoAnswerError(Exception):
    """The other side sent what is no answer."""


class StandIn:
    """An object of the other side's that is no data: true or false, and equal to nothing.

    It can be called, and has public attributes, which the other side answers for.
    """

    def __init__(self, peer: "Peer", number: int, truth: bool) -> None:
        own = {"_peer": peer, "_number": number, "_truth": truth}
        self.__dict__.update(own)

    def __bool__(self) -> bool:
        return self._truth

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.call(self._number, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._peer.value(self._peer.ask({"get": self._number, "name": name}))

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.assign(self._number, name, value)


class Peer:
    """This side of a channel. Raises ChannelClosedError and NoAnswerError wherever it asks."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._objects: list[Any] = []
        # A program may replace what it finds in modules.
        self._any_error: type[BaseException] = BaseException

    def call(self, target: str | int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of the other side's."""
        encoder = Encoder(self._sent)
        message = {
            "call": target,
            "args": [encoder.encode(value) for value in args],
            "kwargs": {name: encoder.encode(value) for name, value in kwargs.items()},
        }
        return self.value(self.ask(message), list(args))

    def assign(self, target: int, name: str, value: Any) -> None:
        """Set an attribute of an object of the other side's."""
        self.ask({"set": target, "name": name, "to": Encoder(self._sent).encode(value)})

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """The other side's answer. What it asks meanwhile is answered. Raises what it raised."""
        self._channel.send(message)
        while True:
            reply = self._channel.receive()
            if not isinstance(reply, dict):
                raise NoAnswerError
            if not _REQUESTS & reply.keys():
                break
            self.respond(reply)
        if "raised" in reply:
            raise self.exception(reply["raised"])
        return reply

    def respond(self, message: dict[str, Any]) -> None:
        """Answer a message, whatever happens on the way."""
        try:
            reply = self.answer(message)
        except self._any_error as error:
            reply = {"raised": self.told(error)}
        try:
            self._channel.send(reply)
        except CodecError as error:
            self._channel.send({"raised": self.told(error)})

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a message. Raises whatever that brings up."""
        decoder = self._decoder([])
        if "call" not in message:
            name = message["name"]
            owner = self.target(message["set"] if "set" in message else message["get"])
            if not isinstance(name, str) or name.startswith("_") or isinstance(owner, _INNER):
                raise AttributeError(name)
            if "set" in message:
                setattr(owner, name, decoder.decode(message["to"]))
                return {}
            value = getattr(owner, name)
            return {"value": Encoder(self._sent).encode(value)}
        args = [decoder.decode(item) for item in message["args"]]
        kwargs = {name: decoder.decode(item) for name, item in message["kwargs"].items()}
        known = {id(value): number for number, value in enumerate(args)}
        value = self.invoke(self.target(message["call"]), args, kwargs)
        return {"value": Encoder(self._sent, known).encode(value)}

    def target(self, target: Any) -> Any:
        """The object that a message means."""
        if type(target) is not int or not 0 <= target < len(self._objects):
            raise NoAnswerError
        return self._objects[target]

    def invoke(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)

    def value(self, reply: dict[str, Any], arguments: list[Any] | None = None) -> Any:
        """The value of an answer. `arguments`: what was sent with the question."""
        try:
            return self._decoder(arguments or []).decode(reply.get("value", ["?"]))
        except CodecError as error:
            raise NoAnswerError from error

    def told(self, error: BaseException) -> dict[str, Any]:
        """An exception as data."""
        return {
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "text": "".__add__(str(error))[:TEXT_CHARS],
            "line": self.line_of(error),
        }

    def line_of(self, error: BaseException) -> str:
        """The line of an assertion that does not hold; empty for other errors."""
        return ""

    def exception(self, raised: Any) -> BaseException:
        """What the other side raised: of the same class, if that is a built-in one, and text."""
        if not isinstance(raised, dict):
            raise NoAnswerError
        kinds, text = raised.get("kinds"), raised.get("text")
        if not (isinstance(kinds, list) and isinstance(text, str)):
            raise NoAnswerError
        base = next((found for kind in kinds if (found := _exception_class(kind))), Exception)
        own: Any = type(base.__name__, (base,), {"__str__": lambda self: text})
        error = own.__new__(own, text)
        assert isinstance(error, BaseException)
        return error

    def _decoder(self, arguments: list[Any]) -> Decoder:
        return Decoder(self._stand_in, self.target, arguments)

    def _stand_in(self, number: int, name: str, truth: bool) -> StandIn:
        # Messages of failed operations name the class.
        safe = name if name.isidentifier() and not keyword.iskeyword(name) else "object"
        found = type(safe, (StandIn,), {})(self, number, truth)
        assert isinstance(found, StandIn)
        return found

    def _sent(self, value: Any, name: str, truth: bool) -> list[Any]:
        if isinstance(value, StandIn):
            return ["h", value._number]
        if len(self._objects) >= MOST_OBJECTS:
            raise CodecError("too many objects")
        self._objects.append(value)
        return ["o", len(self._objects) - 1, name, truth]


def failed_line(error: BaseException, file: str, source: str) -> str:
    """The line of the assertion in `source`, run as `file`, that does not hold.

    Empty for other errors, and for an assertion of other code.
    """
    number, trace = 0, error.__traceback__
    if not isinstance(error, AssertionError):
        return ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = source.splitlines()
    return lines[number - 1].strip()[:LINE_CHARS] if 0 < number <= len(lines) else ""


def _exception_class(name: Any) -> type[BaseException] | None:
    found = getattr(builtins, name, None) if isinstance(name, str) else None
    if not isinstance(found, type) or not issubclass(found, BaseException):
        return None
    # A group cannot be made without its members.
    return None if issubclass(found, BaseExceptionGroup) else found
