"""Two sides over a socket: what each may ask of the other, and what it gets."""

import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.sandbox.talk import peer
from eval.sandbox.talk.channel import Channel, ChannelClosedError
from eval.sandbox.talk.codec import CodecError
from eval.sandbox.talk.peer import NoAnswerError, Peer, StandIn


class Serving(Peer):
    """The other side: it answers, and its functions are called by their names."""

    def __init__(self, channel: Channel, functions: dict[str, Any]) -> None:
        super().__init__(channel)
        self._functions = functions

    def target(self, target: Any) -> Any:
        return self._functions[target] if isinstance(target, str) else super().target(target)

    def serve(self) -> None:
        with contextlib.suppress(ChannelClosedError):
            while True:
                self.respond(self._channel.receive())


@contextlib.contextmanager
def talk(**functions: Any) -> Iterator[Peer]:
    """This side, with functions on the other one."""
    one, other = socket.socketpair()
    with one, other:
        serving = threading.Thread(target=Serving(Channel(other.fileno()), functions).serve)
        serving.start()
        try:
            yield Peer(Channel(one.fileno()))
        finally:
            one.shutdown(socket.SHUT_RDWR)
            serving.join(60)
            assert not serving.is_alive()


def test_calls_with_arguments_of_both_kinds() -> None:
    def function(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    with talk(f=function) as here:
        assert here.call("f", (), {}) == ((), {})
        assert here.call("f", (1, [2.5], "\udcff"), {"key": {3}, "self": None}) == (
            (1, [2.5], "\udcff"), {"key": {3}, "self": None},
        )  # fmt: skip


def test_an_argument_that_comes_back_is_the_same_object() -> None:
    def grow(values: list[int]) -> list[int]:
        values.append(1)
        return values

    with talk(same=lambda x, y: y, grow=grow, copy=lambda x: [*x]) as here:
        sent: list[Any] = [1, math.nan]
        assert here.call("same", (0, sent), {}) is sent
        assert here.call("copy", (sent,), {}) is not sent
        assert here.call("grow", (sent,), {}) is not sent
        assert here.call("grow", ([5],), {}) == [5, 1]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError("no"), ValueError), (KeyError("k"), KeyError), (Exception(), Exception),
        (ZeroDivisionError("x" * 9000), ZeroDivisionError), (SystemExit(3), SystemExit),
        (KeyboardInterrupt("k"), KeyboardInterrupt), (GeneratorExit(), GeneratorExit),
        (StopIteration(5), StopIteration), (AssertionError((1, 2)), AssertionError),
        (FileNotFoundError(2, "gone", "a"), FileNotFoundError),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "why"), UnicodeDecodeError),
        (json.JSONDecodeError("why", "doc", 0), ValueError),
        (ExceptionGroup("many", [ValueError()]), Exception), (Exception("\ud800"), Exception),
        (BaseExceptionGroup("many", [KeyboardInterrupt()]), BaseException),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)  # fmt: skip
def test_exceptions_keep_class_and_text(error: BaseException, wanted: type[BaseException]) -> None:
    def function() -> None:
        raise error

    with talk(f=function) as here, pytest.raises(wanted) as raised:
        here.call("f", (), {})
    assert str(raised.value) == str(error)[: peer.TEXT_CHARS]
    base = type(raised.value).__mro__[1]
    assert isinstance(error, base)
    assert type(raised.value).__name__ == base.__name__


def test_an_exception_of_the_other_sides_own_class_comes_as_its_base() -> None:
    class OwnError(LookupError):
        pass

    def function() -> None:
        raise OwnError("mine")

    with talk(f=function) as here, pytest.raises(LookupError, match="mine"):
        here.call("f", (), {})


class Thing:
    """An object of the other side's."""

    size = 5
    _hidden = "secret"

    def __init__(self, truth: bool = True) -> None:
        self._truth = truth

    def __bool__(self) -> bool:
        return self._truth

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __call__(self, x: int, more: int = 0) -> int:
        return x + more

    def grown(self, by: int) -> int:
        self.size += by
        return self.size

    @property
    def broken(self) -> int:
        raise ValueError("not now")


def test_a_stand_in_is_true_or_false_and_equal_to_nothing() -> None:
    with talk(make=Thing) as here:
        true, false = here.call("make", (), {}), here.call("make", (False,), {})
        assert isinstance(true, StandIn)
        assert true
        assert not false
        assert type(true).__name__ == "Thing"
        others: tuple[Any, ...] = (true, false, None, 0, "", [], Thing())
        for other in others:
            if not isinstance(other, Thing):
                assert not true == other  # noqa: SIM201
                assert not other == true  # noqa: SIM201
                assert true != other
        assert true not in [1, "a", None]
        assert len({true, false}) == 2


def test_a_stand_in_can_be_called_and_has_public_attributes() -> None:
    with talk(make=Thing) as here:
        thing = here.call("make", (), {})
        assert thing(2) == 2
        assert thing(2, more=3) == 5
        assert thing.size == 5
        thing.size = 7
        assert thing.grown(1) == 8
        assert thing.grown(by=1) == 9
        with pytest.raises(AttributeError, match="nothing"):
            _ = thing.nothing
        with pytest.raises(ValueError, match="not now"):
            _ = thing.broken
        for operation in (len, iter, int, lambda x: x + 1, lambda x: x < 1, lambda x: x[0]):
            with pytest.raises(TypeError):
                operation(thing)


def test_private_attributes_do_not_cross() -> None:
    with talk(make=Thing) as here:
        thing = here.call("make", (), {})
        for name in ("_hidden", "__dict__", "__globals__", "__code__"):
            # By asking, as a program without our stand-ins would.
            with pytest.raises(AttributeError, match=name):
                here.ask({"get": thing._number, "name": name})
            with pytest.raises(AttributeError, match=name):
                here.ask({"set": thing._number, "name": name, "to": 1})
        with pytest.raises(AttributeError):
            _ = thing._hidden
        with pytest.raises(AttributeError):
            here.ask({"get": thing._number, "name": 5})


@pytest.mark.parametrize("name", ["class", "x y", "None", "1", "", "e\u0301", "x" * 300])
def test_odd_names_of_classes(name: str) -> None:
    with talk(make=lambda: type(name, (), {})()) as here:
        made = here.call("make", (), {})
        assert isinstance(made, StandIn)
        assert made
    sent = json.dumps({"value": ["o", 0, f"{name}\ud800\0", False]}).encode()
    with against(sent) as here:
        assert not here.call("make", (), {})


def test_a_stand_in_goes_home_as_itself() -> None:
    with talk(make=Thing, is_thing=lambda x: isinstance(x, Thing), same=lambda x: x) as here:
        thing = here.call("make", (), {})
        assert here.call("is_thing", (thing,), {}) is True
        assert here.call("is_thing", ([thing],), {}) is False
        thing.other = thing  # set to the object itself
        assert thing.other.other.size == 5


def test_the_other_side_calls_our_functions() -> None:
    calls = []

    def ours(x: int, by: int = 1) -> int:
        calls.append(x)
        if x > 5:
            raise KeyError(f"{x} is too much")
        return x * by

    def theirs(function: Callable[..., int], values: list[int]) -> Any:
        try:
            return [function(value, by=3) for value in values]
        except LookupError as error:
            return str(error)

    with talk(theirs=theirs, sort=lambda key, values: sorted(values, key=key)) as here:
        assert here.call("theirs", (ours, [1, 2]), {}) == [3, 6]
        assert calls == [1, 2]
        assert here.call("theirs", (ours, [1, 7]), {}) == "'7 is too much'"
        assert here.call("sort", (lambda x: -x, [1, 3, 2]), {}) == [3, 2, 1]
        # Back and forth: our function calls theirs, which calls ours.
        assert here.call("theirs", (lambda x, by: here.call("theirs", (ours, [x]), {}), [2]), {}) \
            == [[6]]  # fmt: skip


def test_the_other_side_uses_our_objects() -> None:
    thing = Thing(truth=False)

    def use(other: Any) -> Any:
        other.size = 10
        return bool(other), other.size, other.grown(5), hasattr(other, "_hidden"), other == 1

    with talk(use=use, give=lambda x: x) as here:
        assert here.call("use", (thing,), {}) == (False, 10, 15, False, False)
        assert thing.size == 15
        assert here.call("give", (thing,), {}) is thing
        assert here.call("give", ([thing],), {})[0] is thing


def test_an_answer_that_is_too_large_is_an_error_and_the_talk_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with talk(f=lambda n: "x" * n) as here:
        with pytest.raises(ValueError, match="too many bytes"):
            here.call("f", (1 << 25,), {})
        assert here.call("f", (2,), {}) == "xx"
        with pytest.raises(CodecError, match="too many bytes"):
            here.call("f", ("x" * (1 << 25),), {})
        assert here.call("f", (1,), {}) == "x"


def test_objects_without_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "MOST_OBJECTS", 5)
    with talk(f=lambda n: [object() for _ in range(n)]) as here:
        assert len(here.call("f", (5,), {})) == 5
        with pytest.raises(ValueError, match="too many objects"):
            here.call("f", (1,), {})
        assert here.call("f", (0,), {}) == []


@contextlib.contextmanager
def against(*answers: bytes) -> Iterator[Peer]:
    """This side, against one that has already sent these frames, and nothing more."""
    one, other = socket.socketpair()
    with one, other:
        for body in answers:
            other.sendall(len(body).to_bytes(4, "little") + body)
        other.shutdown(socket.SHUT_WR)
        yield Peer(Channel(one.fileno()))


def no_answer(*answers: Any) -> None:
    bodies = [a if isinstance(a, bytes) else json.dumps(a).encode() for a in answers]
    with against(*bodies) as here, pytest.raises((NoAnswerError, ChannelClosedError)):
        here.call("f", (1, [2]), {})


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"passed", b"\xff", b"[" * 10_000, None, True, 2, "passed", [], [2], {}, {"ok": 2},
        {"value": ["z"]}, {"value": {}}, {"value": ["o", -1, "a", True]}, {"value": ["h", 0]},
        {"value": ["h", 10**30]}, {"value": ["=", 2, 1]}, {"value": ["y", "print"]},
        {"raised": None}, {"raised": {}}, {"raised": {"kinds": "ValueError", "text": "a"}},
        {"raised": {"kinds": ["ValueError"], "text": 5}}, {"raised": []},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_answer(answer: Any) -> None:
    no_answer(answer)


@pytest.mark.parametrize(
    "asked",
    [
        {"call": 0}, {"call": "f", "args": [], "kwargs": {}}, {"get": 0, "name": "a"}, {"set": 0},
        {"call": 0, "args": 1, "kwargs": 1}, {"call": [], "args": [], "kwargs": {}},
        {"call": True, "args": [], "kwargs": {}}, {"call": 10**9, "args": [], "kwargs": {}},
        {"call": -1, "args": [], "kwargs": {}}, {"get": None, "name": None},
    ],
    ids=repr,
)  # fmt: skip
def test_what_may_not_be_asked_is_answered_by_an_error(asked: Any) -> None:
    with against(json.dumps(asked).encode(), b'{"value": 5}') as here:
        assert here.call("f", (), {}) == 5  # what comes behind it is the answer


@pytest.mark.parametrize(
    "kinds", [[], ["Own"], [1, None], ["print"], ["int"], ["BaseExceptionGroup"], ["Own", 5]]
)
def test_an_exception_of_no_known_class(kinds: list[Any]) -> None:
    body = json.dumps({"raised": {"kinds": kinds, "text": "why", "line": 5}}).encode()
    with against(body) as here, pytest.raises(Exception, match="why") as raised:
        here.call("f", (), {})
    assert type(raised.value).__base__ is Exception


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=3)
    | st.sampled_from(["i", "l", "o", "h", "=", "y", "d", "f", "ValueError", "Exception"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["value", "raised", "kinds", "text", "call", "args", "kwargs", "get",
                         "name", "set", "to"]), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ANSWERS, max_size=3))
def test_no_answers_of_any_form_bring_up_anything_else(answers: list[Any]) -> None:
    class FromThereError(Exception):
        """What the other side raised."""

    class Heard(Peer):
        def exception(self, raised: Any) -> BaseException:
            super().exception(raised)
            return FromThereError()

    one, other = socket.socketpair()
    with one, other:
        for answer in answers:
            body = json.dumps(answer).encode()
            other.sendall(len(body).to_bytes(4, "little") + body)
        other.shutdown(socket.SHUT_WR)
        here = Heard(Channel(one.fileno()))
        with contextlib.suppress(NoAnswerError, ChannelClosedError, FromThereError):
            here.call("f", (len, [1]), {})
