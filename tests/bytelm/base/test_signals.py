"""A signal's exception is not lost: not in an import, and not where Python drops it."""

import importlib
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import BaseModel, PlainSerializer

from bytelm.base.errors import InputError
from bytelm.commands import cli
from bytelm.training.loop.stopping import Stopping, StopRequested

# The signal must end the sleep. The limit on a test's time is shorter.
NEVER_S = 3600.0
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])

# As torch imports numpy: whatever goes wrong, the module counts as missing.
SWALLOWS = """
try:
    import half
except BaseException:
    half = None
"""
HALF = """
import signal
signal.raise_signal({number})
last = "the import went on"
"""


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    hook = sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    sys.unraisablehook = hook


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("swallows", "half"):
        sys.modules.pop(name, None)


def import_under_signal(modules: Path, number: signal.Signals) -> None:
    """Import a module that is sent the signal in its middle; then sleep until the signal comes."""
    (modules / "swallows.py").write_text(SWALLOWS)
    (modules / "half.py").write_text(HALF.format(number=int(number)))
    importlib.import_module("swallows")
    time.sleep(NEVER_S)


def drop_a_signal(_: Path, number: signal.Signals) -> None:
    """Send the signal in a weak reference's callback; then sleep until the signal comes."""
    thing = type("Thing", (), {})()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    assert reference() is None
    time.sleep(NEVER_S)


def replace_a_signal(_: Path, number: signal.Signals) -> None:
    """Send the signal where torch puts an error of its own in the exception's place."""

    class Sized:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> float:
            signal.raise_signal(number)
            return 0.0

    try:
        torch.tensor(Sized())
    except ValueError as error:
        # As a reader of files does.
        raise InputError(f"damaged: {error}") from error


def chain_a_signal(_: Path, number: signal.Signals) -> None:
    """Send the signal where pydantic puts an error in its place that has it as its cause."""

    def seen(_: object) -> str:
        signal.raise_signal(number)
        return "went on"

    class Written(BaseModel):
        value: Annotated[int, PlainSerializer(seen)]

    Written(value=1).model_dump()


PLACES = pytest.mark.parametrize("place", [import_under_signal, drop_a_signal])
Place = Callable[[Path, signal.Signals], None]


@SIGNALS
@pytest.mark.parametrize(
    "place", [import_under_signal, drop_a_signal, replace_a_signal, chain_a_signal]
)
@pytest.mark.usefixtures("handlers")
def test_a_commands_signal_is_not_lost(
    modules: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: Place,
    number: signal.Signals,
) -> None:
    class Placed:
        def run(self) -> dict[str, Any]:
            place(modules, number)
            return {"the signal": "was lost"}

    monkeypatch.setattr(cli, "parse", lambda *_: Placed())
    assert cli.main("bytelm", "", {"placed": Placed}, ["placed"]) == 128 + number
    assert capsys.readouterr() == ("", "stopped\n")
    if place is import_under_signal:
        assert sys.modules["half"].last == "the import went on"


@SIGNALS
@PLACES
@pytest.mark.usefixtures("handlers")
def test_a_runs_signal_comes_again(
    modules: Path, capsys: pytest.CaptureFixture[str], place: Place, number: signal.Signals
) -> None:
    with Stopping() as stopping:
        stopping.release()
        with pytest.raises(StopRequested):
            place(modules, number)
        assert stopping.signal == number
    assert capsys.readouterr().err == ""
    if place is import_under_signal:
        assert sys.modules["half"].last == "the import went on"


@SIGNALS
@pytest.mark.parametrize("place", [replace_a_signal, chain_a_signal])
@pytest.mark.usefixtures("handlers")
def test_an_error_in_the_place_of_a_runs_signal(
    tmp_path: Path, place: Place, number: signal.Signals
) -> None:
    with Stopping() as stopping:
        stopping.release()
        with stopping.ends_here():
            place(tmp_path, number)
        assert stopping.signal == number


@SIGNALS
@pytest.mark.usefixtures("handlers")
def test_an_error_while_a_run_stops_is_an_error(number: signal.Signals) -> None:
    def fail_while_stopping(stopping: Stopping) -> None:
        with stopping.ends_here():
            stopping.release()
            try:
                fail_after_the_signal(number)
            except OSError as error:
                raise InputError(f"{error}; make room") from error

    with Stopping() as stopping, pytest.raises(InputError, match="make room"):
        fail_while_stopping(stopping)


@SIGNALS
@pytest.mark.usefixtures("handlers")
def test_an_error_while_a_command_stops_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    class Fails:
        def run(self) -> None:
            fail_after_the_signal(number)

    monkeypatch.setattr(cli, "parse", lambda *_: Fails())
    assert cli.main("bytelm", "", {"fails": Fails}, ["fails"]) == 1
    assert "the disk is full" in capsys.readouterr().err


def fail_after_the_signal(number: signal.Signals) -> None:
    """Raise an error while what the signal's handler raised ends the work."""
    try:
        signal.raise_signal(number)
    finally:
        raise OSError("the disk is full")


@pytest.mark.usefixtures("handlers")
def test_an_error_without_a_signal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails:
        def run(self) -> None:
            raise InputError("wrong")

    monkeypatch.setattr(cli, "parse", lambda *_: Fails())
    assert cli.main("bytelm", "", {"fails": Fails}, ["fails"]) == 2
    with pytest.raises(InputError), Stopping() as stopping, stopping.ends_here():
        raise InputError("wrong")


@pytest.mark.usefixtures("handlers")
def test_a_job_that_ignores_ctrl_c_goes_on_ignoring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sends:
        def run(self) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli, "parse", lambda *_: Sends())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert cli.main("bytelm", "", {"sends": Sends}, ["sends"]) == 0
