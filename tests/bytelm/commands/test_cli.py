"""Signals outside of a command's own work end it without a traceback."""

import signal
import sys
import time
from typing import Any

import pytest
from tqdm import tqdm

from bytelm.commands import cli
from bytelm.files.streams import say


class Nothing:
    """A command that does nothing."""

    def run(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt(), 130), (cli.Terminated(143), 143)]
)
@pytest.mark.parametrize("place", ["fill_closed_streams", "limit_threads", "_print"])
def test_a_signal_before_or_after_the_work(
    monkeypatch: pytest.MonkeyPatch, place: str, stop: BaseException, status: int
) -> None:
    def stopped(*_: object) -> None:
        raise stop

    monkeypatch.setattr(cli, place, stopped)
    monkeypatch.setattr(cli, "_run", lambda *_: ({}, 0))
    assert cli.main("bytelm", "", {"nothing": Nothing}, ["nothing"]) == status


class Dropping:
    """A command in which a signal comes where Python cannot raise it: in a destructor."""

    def run(self) -> dict[str, Any]:
        thing = type("Thing", (), {"__del__": lambda _: signal.raise_signal(signal.SIGINT)})()
        del thing
        time.sleep(5)
        return {"reached": True}


def test_a_signal_that_python_drops_comes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(cli, "parse", lambda *_: Dropping())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main("bytelm", "", {"dropping": Dropping}, ["dropping"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "Traceback" not in capsys.readouterr().err


def test_a_signal_while_the_bars_lock_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm, "get_lock", stopped)
    monkeypatch.delattr(tqdm, "_lock", raising=False)
    with pytest.raises(KeyboardInterrupt):
        say("x")
