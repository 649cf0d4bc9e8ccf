"""Plain data crosses with its exact type, and nothing else crosses at all."""

import itertools
import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.sandbox.talk import codec
from eval.sandbox.talk.codec import CodecError, Decoder, Encoder, dump, load

Opaque = tuple[str, int, str, bool]

# A busy machine may take its time.
UNHURRIED = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def encode(value: Any, arguments: dict[int, int] | None = None) -> Any:
    return Encoder(lambda value, name, truth: ["o", 7, name, truth], arguments).encode(value)


def decode(data: Any, arguments: list[Any] | None = None) -> Any:
    def opaque(number: int, name: str, truth: bool) -> Opaque:
        return "opaque", number, name, truth

    return Decoder(opaque, lambda number: ("own", number), arguments).decode(data)


def crossed(value: Any) -> Any:
    """The value on the other side of a channel."""
    return decode(load(dump(encode(value))[4:]))


def form(value: Any) -> Any:
    """A description that is equal for the same values of the same types, and for no others."""
    kind = type(value).__name__
    if isinstance(value, float):
        return kind, "nan" if math.isnan(value) else value.hex()
    if isinstance(value, int):
        return kind, hex(value)
    if isinstance(value, complex):
        return kind, form(value.real), form(value.imag)
    if isinstance(value, deque):
        return kind, value.maxlen, [form(item) for item in value]
    if isinstance(value, set | frozenset):
        return kind, sorted(map(repr, map(form, value)))
    if isinstance(value, dict | type({}.items())):
        pairs = value.items() if isinstance(value, dict) else value
        return kind, [(form(key), form(item)) for key, item in pairs]
    if isinstance(value, list | tuple | Iterator | type({}.keys()) | type({}.values())):
        return "iterator" if isinstance(value, Iterator) else kind, [form(item) for item in value]
    return kind, repr(value)


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)  # surrogates too
INTS = st.integers() | st.integers(-(1 << 300), 1 << 300)
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | INTS
    | st.floats()
    | TEXTS
    | st.binary(max_size=8)
    | st.complex_numbers()
    | st.decimals().filter(lambda value: not value.is_snan())  # it has no hash
    | st.fractions()
    | st.builds(range, INTS, INTS, INTS.filter(bool))
    | st.sampled_from([int, dict, ValueError, type]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    dicts = st.dictionaries(HASHABLE, inner, max_size=3)
    return (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.builds(deque, st.lists(inner, max_size=3), st.none() | st.integers(0, 5))
        | dicts
        | dicts.map(dict.keys)
        | dicts.map(dict.values)
        | dicts.map(dict.items)
        | st.binary(max_size=8).map(bytearray)
        | st.sets(HASHABLE, max_size=3)
    )


PLAIN = st.recursive(HASHABLE, containers, max_leaves=8)


@UNHURRIED
@given(PLAIN)
def test_plain_values_cross_with_their_exact_types(value: Any) -> None:
    assert form(crossed(value)) == form(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan, -math.nan, -0.0, math.inf, -math.inf, 5e-324, 1 << 63, -(1 << 63) - 1, 10**5000,
        "\ud800\udfff", "\0", (), {(1, (2, "a")): [()]}, {1: "a", 1.5: "b"}, Decimal("sNaN"),
        Decimal("-0E+3"), Decimal("1.50"), Fraction(-1, 3), complex(-0.0, math.nan),
        deque([1, 2], 2), deque(), deque(maxlen=0), range(5, -5, -2), range(10**30), b"\xff\0",
        bytearray(b"\0"), {}.keys(), {1: 2}.values(), {1: [2]}.items(), str, ValueError, True,
        NotImplementedError, frozenset([frozenset()]), [[]] * 3,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_at_the_edges_cross(value: Any) -> None:
    assert form(crossed(value)) == form(value)


@UNHURRIED
@given(st.lists(HASHABLE, max_size=5))
def test_iterators_are_drained_and_equal_no_list(values: list[Any]) -> None:
    for made in (iter, reversed, lambda v: map(list, [v]), lambda v: (item for item in v)):
        wanted, got = list(made(values)), crossed(made(values))
        assert isinstance(got, Iterator)
        lists: list[Any] = [wanted, tuple(wanted)]
        assert got not in lists
        assert form(list(got)) == form(wanted)
        assert list(got) == []


def test_numpys_values_cross_as_pythons() -> None:
    assert form(crossed(numpy.float64(0.5))) == form(0.5)
    assert form(crossed([numpy.int64(3), numpy.bool_(True), numpy.str_("a")])) == form(
        [3, True, "a"]
    )
    assert form(crossed(numpy.arange(4).reshape(2, 2))) == form([[0, 1], [2, 3]])


class Point(NamedTuple):
    x: int
    y: int


def test_known_subclasses_come_out_as_their_base() -> None:
    assert form(crossed(Point(1, 2))) == form((1, 2))
    assert form(crossed(OrderedDict(a=1))) == form({"a": 1})


BASES: dict[type, tuple[Any, ...]] = {
    int: (5,),
    float: (1.5,),
    str: ("ab",),
    bytes: (b"ab",),
    bytearray: (b"ab",),
    complex: (1, 2),
    list: ([1, 2],),
    tuple: ((1, 2),),
    set: ([1, 2],),
    frozenset: ([1, 2],),
    dict: ({1: 2},),
    deque: ([1, 2, 3], 5),
    Decimal: ("1.50",),
    Fraction: (1, 3),
}
# What every class has from `object` cannot all be redefined, and says nothing of its value.
_KEPT = {"__new__", "__init__", "__class__", "__getattribute__", "__dict__", "__init_subclass__",
         "__subclasshook__", "__doc__", "__slots__", "__module__", "__hash__"}  # fmt: skip
_MORE = ("__bytes__", "__index__", "__int__", "__float__", "__complex__", "__str__", "__bool__",
         "__len__", "__iter__", "__radd__", "__next__")  # fmt: skip


@pytest.mark.parametrize("base", BASES)
def test_subclasses_come_out_as_their_base_and_none_of_their_methods_is_called(base: type) -> None:
    called = []

    def liar(name: str) -> Callable[..., Any]:
        def lie(*_: Any, **__: Any) -> Any:
            called.append(name)
            raise AssertionError(name)

        return lie

    methods = [name for name in dir(base) if callable(getattr(base, name)) and name not in _KEPT]
    fields = [name for name in ("real", "imag", "numerator", "denominator", "maxlen")
              if hasattr(base, name)]  # fmt: skip
    content: dict[str, Any] = {name: liar(name) for name in (*methods, *_MORE)}
    content.update({name: property(liar(name)) for name in fields})
    content["__hash__"] = base.__hash__
    lying = type("Lying", (base,), {})(*BASES[base])
    for name, method in content.items():
        setattr(type(lying), name, method)
    data = encode(lying)
    assert called == []
    assert form(decode(data)) == form(base(*BASES[base]))


@pytest.mark.parametrize("value", [object(), len, print, math, lambda: 1, Point, Exception("a")])
def test_what_is_no_data_crosses_as_a_stand_in(value: Any) -> None:
    name = type(value).__name__
    assert crossed([value]) == [("opaque", 7, name, True)]


def test_a_stand_in_has_its_objects_truth() -> None:
    class Empty:
        def __len__(self) -> int:
            return 0

    class Broken:
        def __bool__(self) -> bool:
            raise KeyboardInterrupt

    assert crossed(Empty()) == ("opaque", 7, "Empty", False)
    assert crossed(Broken()) == ("opaque", 7, "Broken", True)
    long = type("x" * 500, (), {})
    assert crossed(long()) == ("opaque", 7, "x" * codec.NAME_CHARS, True)


def test_one_encoder_counts_all_that_it_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MOST_VALUES", 10)
    monkeypatch.setattr(codec, "MOST_BYTES", 100)
    with pytest.raises(CodecError, match="too many values"):
        encode(list(range(10)))
    with pytest.raises(CodecError, match="too many values"):
        encode(itertools.count())
    with pytest.raises(CodecError, match="too many bytes"):
        encode(["x" * 60, "x" * 60])
    with pytest.raises(CodecError, match="too many bytes"):
        encode(b"x" * 60)
    with pytest.raises(CodecError, match="too many bytes"):
        encode(1 << 500)
    encoder = Encoder(lambda *_: [])
    encoder.encode(list(range(5)))
    with pytest.raises(CodecError, match="too many values"):
        encoder.encode(list(range(5)))
    with pytest.raises(CodecError, match="too many bytes"):
        dump(["x" * 100])


@pytest.mark.parametrize("item", [None, True, 0.5, ""])
def test_plain_values_count_too(monkeypatch: pytest.MonkeyPatch, item: Any) -> None:
    monkeypatch.setattr(codec, "MOST_VALUES", 10)
    with pytest.raises(CodecError, match="too many values"):
        encode(itertools.repeat(item, 1000))


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def nested_data(depth: int) -> list[Any]:
    data: list[Any] = ["l"]
    for _ in range(depth):
        data = ["l", data]
    return data


@pytest.mark.parametrize("depth", [100, 200])
def test_deep_values_cross(depth: int) -> None:
    assert crossed(nested(depth)) == nested(depth)


@pytest.mark.parametrize("depth", [250, 300, codec.MOST_DEPTH, codec.MOST_DEPTH + 1, 900, 9_999])
def test_deeper_values_than_the_limit_raise_codec_errors(depth: int) -> None:
    """Below the limit they cross: the interpreter's own limit is no error of another kind."""
    if depth <= codec.MOST_DEPTH:
        assert crossed(nested(depth)) == nested(depth)
        return
    with pytest.raises(CodecError):
        encode(nested(depth))
    with pytest.raises(CodecError):
        decode(nested_data(depth))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 3)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([*codec._DECODERS, "0x5", "-0x1", "1_0", "int", "print", "ff", "NaN"]),
    lambda inner: st.lists(inner, max_size=5)
    | st.builds(lambda tag, rest: [tag, *rest], st.sampled_from([*codec._DECODERS]),
                st.lists(inner, max_size=4))
    | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)  # fmt: skip
KNOWN: tuple[type, ...] = (
    type(None), bool, int, float, str, list, tuple, set, frozenset, dict, bytes, bytearray,
    complex, Decimal, Fraction, range, deque, type, type(iter([])), type({}.keys()),
    type({}.values()), type({}.items()),
)  # fmt: skip


@UNHURRIED
@given(JSON)
def test_any_json_is_plain_data_or_an_error(data: Any) -> None:
    sent = [[1, [2.0, "a"]], {"k": 1}, math.nan]
    try:
        value = decode(data, sent)
    except CodecError:
        return
    assert type(value) in KNOWN
    form(value)


@pytest.mark.parametrize(
    "data",
    [
        {}, [], ["z"], [1, 2], [["l"]], ["i"], ["i", 5], ["i", "x"], ["s", ["l"]], ["d", 1],
        ["d", ["l"], 1], ["b", "f"], ["b", 1], ["B"], ["c", 1], ["c", "x", 1], ["D", "x"], ["D"],
        ["F", "0x1", "0x0"], ["F", "0x1"], ["r"], ["r", "0x0", "0x1", "0x0"], ["r", 1], ["q"],
        ["q", -1], ["q", 0.5], ["q", 1 << 80], ["y", "print"], ["y", "no_such"], ["y", 1], ["y"],
        ["=", 0, 1], ["=", -1, 1], ["=", 0], ["=", True, 1], ["o", 1, "a", 1], ["o", 1, 1, True],
        ["o", -1, "a", True], ["o", 1], ["h"], ["h", -1], ["h", 0.0], ["K", ["l"]], ["I", 1],
        ["i", "0x" + "f" * 10 + "g"],
    ],
    ids=repr,
)  # fmt: skip
def test_what_has_not_the_form_is_an_error(data: Any) -> None:
    with pytest.raises(CodecError):
        decode(data)


@UNHURRIED
@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_an_error(body: bytes) -> None:
    try:
        message = load(body)
    except CodecError:
        return
    assert message is None or isinstance(message, bool | int | float | str | list | dict)


def test_messages_of_endless_brackets_and_digits_are_errors() -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000, b"\xff", b""):
        with pytest.raises(CodecError):
            load(body)


# Without what holds NaNs and is no list, tuple or dict: Python itself finds it unequal.
SCALARS = st.none() | st.booleans() | INTS | st.floats() | TEXTS | st.fractions()
LISTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXTS | INTS, inner, max_size=3)
    ),
    max_leaves=8,
)


@UNHURRIED
@given(LISTS)
def test_an_argument_that_comes_back_unchanged_is_the_same_object(value: Any) -> None:
    given_, box = decode(encode(value)), [value]
    for sent, back in ((value, given_), (box, [given_])):
        data = encode(back, {id(back): 0})
        got = decode(load(dump(data)[4:]), [sent])
        assert form(got) == form(sent)
        if isinstance(back, list):
            assert got is sent


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ([1], [2]), ([1], [1, 1]), ([1], [True]), ([1], [1.0]), ([1], (1,)), ([[1]], [(1,)]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]), ([math.nan], [0.0]), ([None], [0]),
        (deque([1]), [1]), ([b"a"], [bytearray(b"a")]), ([0.0], [-0.0]), ({1}, {True}),
        (deque([1]), deque([True])), (deque([1]), deque([1], 1)), ([range(0)], [range(1, 1)]),
        ([Decimal("1.0")], [Decimal("1.00")]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_changed_argument_is_not_the_one_that_was_sent(sent: Any, back: Any) -> None:
    got = decode(load(dump(encode(back, {id(back): 0}))[4:]), [sent])
    assert got is not sent
    assert form(got) == form(back)


def test_messages_are_json_lines_of_ascii() -> None:
    body = dump(encode({"\u20ac": math.nan}))
    assert int.from_bytes(body[:4], "little") == len(body) - 4
    assert json.loads(body[4:]) == ["d", "\u20ac", pytest.approx(math.nan, nan_ok=True)]
    assert body.isascii()
