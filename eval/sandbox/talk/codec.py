"""Plain data between a walled-in program and its judge, as tagged JSON.

Both sides use this module, and neither trusts the other: what is decoded has exact built-in types,
is bounded in size and depth, and never runs code. A value's class does not cross: subclasses come
out as their base, iterators are drained, and what is no data comes out as a stand-in, which is true
or false and equal to nothing.

    None, bool, float, str, int        themselves (an int of over 64 bits: ["i", HEX])
    str with lone surrogates           ["S", HEX]
    list, tuple, set, frozenset        ["l", ...], ["t", ...], ["s", ...], ["f", ...]
    dict                               ["d", KEY, VALUE, KEY, VALUE, ...]
    bytes, bytearray                   ["b", HEX], ["B", HEX]
    complex, Decimal, Fraction         ["c", REAL, IMAGINARY], ["D", TEXT], ["F", HEX, HEX]
    range, deque                       ["r", HEX, HEX, HEX], ["q", MAXLEN, ...]
    a built-in type                    ["y", NAME]
    iterator; keys, values and items   ["n", ...]; ["K", ...], ["V", ...], ["I", KEY, VALUE, ...]
    the argument number N, unchanged   ["=", N, its data]
    anything else                      ["o", NUMBER, CLASS, TRUTH], the sender's object NUMBER
    an object of the receiver's        ["h", NUMBER]
"""

import builtins
import contextlib
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

MOST_BYTES = 16 << 20
MOST_VALUES = 1_000_000
MOST_DEPTH = 400
NAME_CHARS = 100
_FRAMES = 20_000
# A program may replace what it finds in modules.
_set_limit = sys.setrecursionlimit
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_from_json = json.JSONDecoder().decode


class CodecError(ValueError):
    """Data that is too large or too deep, or, when decoding, not of the form above."""


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """More frames for a while: MOST_DEPTH is what bounds the depth of values."""
    limit = sys.getrecursionlimit()
    _set_limit(max(limit, _FRAMES))
    try:
        yield
    finally:
        _set_limit(limit)


class Encoder:
    """Values of one side, in the form above.

    `arguments` are objects that the other side has too (by id). `opaque` is called with an object
    that is no data, its class's name and its truth, and returns its data. Values and characters
    count towards one limit for all that this encoder encodes. Raises CodecError past the limits.
    """

    def __init__(
        self, opaque: Callable[[Any, str, bool], Any], arguments: dict[int, int] | None = None
    ) -> None:
        self._opaque = opaque
        self._arguments = arguments or {}
        self._values = MOST_VALUES
        self._bytes = MOST_BYTES

    def encode(self, value: Any, depth: int = 0) -> Any:
        """`value` as JSON data."""
        if depth == 0:
            with _room():
                return self._encode(value, 0)
        return self._encode(value, depth)

    def _encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self._values -= 1
        if kind in _PLAIN:
            if self._values < 0:
                raise CodecError("too many values")
            return self._text(value) if kind is str else value
        if depth > MOST_DEPTH or self._values < 0:
            raise CodecError("too deeply nested" if depth > MOST_DEPTH else "too many values")
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else ["i", self._hex(value)]
        for base in type.__dict__["__mro__"].__get__(kind):
            encode = _ENCODERS.get(base)
            if encode is not None:
                data = encode(self, value, depth + 1)
                number = self._arguments.get(id(value))
                return data if number is None else ["=", number, data]
        return self._other(value, kind, depth + 1)

    def _text(self, value: str) -> Any:
        self._spend(len(value))
        try:
            value.encode()
        except UnicodeEncodeError:  # JSON would join two halves of a surrogate pair
            return ["S", value.encode("utf-8", "surrogatepass").hex()]
        return value

    def _other(self, value: Any, kind: Any, depth: int) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic):
            return self.encode(value.item(), depth)
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self.encode(value.tolist(), depth)
        name = getattr(value, "__name__", "")
        if kind is type and vars(builtins).get(name) is value:
            return ["y", name]
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
            return ["n", *self._all(value, depth)]
        try:
            truth = bool(value)
        except BaseException:
            truth = True
        return self._opaque(value, kind.__name__[:NAME_CHARS], truth)

    def _all(self, values: Iterable[Any], depth: int) -> Iterator[Any]:
        return (self.encode(value, depth) for value in values)

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> Iterator[Any]:
        for key, value in pairs:
            yield self.encode(key, depth)
            yield self.encode(value, depth)

    def _hex(self, value: int) -> str:
        self._spend(int.bit_length(value) // 4)
        return hex(value)

    def _spend(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise CodecError("too many bytes")

    def _octets(self, value: bytes | bytearray) -> str:
        whole = bytes(memoryview(value))
        self._spend(2 * len(whole))
        return whole.hex()


_Encode = Callable[[Encoder, Any, int], Any]
_PLAIN = frozenset({type(None), bool, float, str})


def _items_of(tag: str, base: Any) -> _Encode:
    return lambda own, value, depth: [tag, *own._all(base.__iter__(value), depth)]


# A subclass may redefine every method and property: the base's own are called.
_REAL, _IMAG = complex.real.__get__, complex.imag.__get__
_TOP, _BOTTOM = Fraction.numerator.fget, Fraction.denominator.fget  # type: ignore[attr-defined]
_MAXLEN = deque.maxlen.__get__

_ENCODERS: dict[type, _Encode] = {
    str: lambda own, value, depth: own.encode("".__add__(value), depth),
    float: lambda own, value, depth: float.__pos__(value),
    int: lambda own, value, depth: own.encode(int.__pos__(value), depth),
    list: _items_of("l", list),
    tuple: _items_of("t", tuple),
    set: _items_of("s", set),
    frozenset: _items_of("f", frozenset),
    dict: lambda own, value, depth: ["d", *own._pairs(dict.items(value), depth)],
    bytes: lambda own, value, depth: ["b", own._octets(value)],
    bytearray: lambda own, value, depth: ["B", own._octets(value)],
    complex: lambda own, value, depth: ["c", _REAL(value), _IMAG(value)],
    Decimal: lambda own, value, depth: ["D", Decimal.__str__(value)],
    Fraction: lambda own, value, depth: [
        "F",
        own._hex(_TOP(value)),
        own._hex(_BOTTOM(value)),
    ],
    range: lambda own, value, depth: ["r", *map(own._hex, (value.start, value.stop, value.step))],
    deque: lambda own, value, depth: ["q", _MAXLEN(value), *own._all(deque.__iter__(value), depth)],
    type({}.keys()): lambda own, value, depth: ["K", *own._all(value, depth)],
    type({}.values()): lambda own, value, depth: ["V", *own._all(value, depth)],
    type({}.items()): lambda own, value, depth: ["I", *own._pairs(value, depth)],
}


class Decoder:
    """Values of the other side.

    `opaque` is called with the number, the class's name and the truth of an object of that side,
    `own` with the number of one of this side. `arguments`: the objects that were sent; one that
    comes back with its data unchanged is itself.
    Raises CodecError for whatever is not of the form.
    """

    def __init__(
        self,
        opaque: Callable[[int, str, bool], Any],
        own: Callable[[int], Any],
        arguments: list[Any] | None = None,
    ) -> None:
        self._opaque, self._own = opaque, own
        self._arguments = arguments or []

    def decode(self, data: Any, depth: int = 0) -> Any:
        """The value of JSON data."""
        if depth == 0:
            with _room():
                return self._decode(data, 0)
        return self._decode(data, depth)

    def _decode(self, data: Any, depth: int) -> Any:
        kind = type(data)
        if kind in _PLAIN or kind is int:
            return data
        if kind is not list or not data or type(data[0]) is not str or depth > MOST_DEPTH:
            raise CodecError("no plain data")
        decode = _DECODERS.get(data[0])
        if decode is None:
            raise CodecError("no plain data")
        try:
            return decode(self, data, depth + 1)
        except (TypeError, ValueError, ArithmeticError, LookupError, InvalidOperation) as error:
            raise CodecError("no plain data") from error

    def _all(self, data: list[Any], depth: int, first: int = 1) -> list[Any]:
        return [self.decode(item, depth) for item in data[first:]]

    def _dict(self, data: list[Any], depth: int) -> dict[Any, Any]:
        values = self._all(data, depth)
        return dict(zip(values[::2], values[1::2], strict=True))

    def _argument(self, data: list[Any], depth: int) -> Any:
        _, number, content = data
        value, sent = self.decode(content, depth), self._arguments[_natural(number)]
        return sent if json.dumps(_as_data(sent)) == json.dumps(content) else value

    def _object(self, data: list[Any], _depth: int) -> Any:
        _, number, name, truth = data
        if type(name) is not str or type(truth) is not bool:
            raise CodecError("no plain data")
        return self._opaque(_natural(number), name[:NAME_CHARS], truth)


def _builtin_type(name: Any) -> type:
    found = vars(builtins).get(name) if isinstance(name, str) else None
    if not isinstance(found, type):
        raise CodecError("no plain data")
    return found


def _as_data(value: Any) -> Any:
    """The data of a value, without objects; None where it has some, which no argument's data is."""
    try:
        return Encoder(_no_objects)._encode(value, 1)
    except CodecError:
        return None


def _no_objects(_value: Any, _name: str, _truth: bool) -> Any:
    raise CodecError("no plain data")


def _natural(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise CodecError("no plain data")
    return number


def _number(text: Any) -> int:
    return int(text, 16)


_DECODERS: dict[str, Callable[[Decoder, list[Any], int], Any]] = {
    "i": lambda own, data, depth: _number(data[1]),
    "l": lambda own, data, depth: own._all(data, depth),
    "t": lambda own, data, depth: tuple(own._all(data, depth)),
    "s": lambda own, data, depth: set(own._all(data, depth)),
    "f": lambda own, data, depth: frozenset(own._all(data, depth)),
    "d": lambda own, data, depth: own._dict(data, depth),
    "S": lambda own, data, depth: bytes.fromhex(data[1]).decode("utf-8", "surrogatepass"),
    "b": lambda own, data, depth: bytes.fromhex(data[1]),
    "B": lambda own, data, depth: bytearray.fromhex(data[1]),
    "c": lambda own, data, depth: complex(float(data[1]), float(data[2])),
    "D": lambda own, data, depth: Decimal(str(data[1])),
    "F": lambda own, data, depth: Fraction(_number(data[1]), _number(data[2])),
    "r": lambda own, data, depth: range(*map(_number, data[1:])),
    "q": lambda own, data, depth: deque(own._all(data, depth, 2), data[1]),
    "n": lambda own, data, depth: iter(own._all(data, depth)),
    "K": lambda own, data, depth: dict.fromkeys(own._all(data, depth)).keys(),
    "V": lambda own, data, depth: dict(enumerate(own._all(data, depth))).values(),
    "I": lambda own, data, depth: own._dict(data, depth).items(),
    "y": lambda own, data, depth: _builtin_type(data[1]),
    "=": lambda own, data, depth: own._argument(data, depth),
    "o": lambda own, data, depth: own._object(data, depth),
    "h": lambda own, data, depth: own._own(_natural(data[1])),
}


def dump(message: Any) -> bytes:
    """A message as bytes, its length in front. Raises CodecError if it is too long."""
    body = _to_json(message).encode("ascii")
    if len(body) > MOST_BYTES:
        raise CodecError("too many bytes")
    return len(body).to_bytes(4, "little") + body


def load(body: bytes) -> Any:
    """The message in bytes from the other side. Raises CodecError for anything that is none."""
    try:
        return _from_json(body.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise CodecError("no message") from error
