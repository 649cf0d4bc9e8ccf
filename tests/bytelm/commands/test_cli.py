"""Signals outside of a command's own work end it without a traceback."""

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


def test_a_signal_while_the_bars_lock_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm, "get_lock", stopped)
    monkeypatch.delattr(tqdm, "_lock", raising=False)
    with pytest.raises(KeyboardInterrupt):
        say("x")
