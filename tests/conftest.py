"""Fixtures: shards of this project's own sources, and a model trained on them for seconds.

Tests of other engines are marked `peers`, with the packages that they need.
"""

import importlib
import signal
from pathlib import Path

import pytest
import torch
from support import ROOT, TRAIN, bytelm_command

# A shell ignores Ctrl-C in what it starts in the background, and processes of tests would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# These models are tiny: a second thread costs more than it gives, above all on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of the project's own sources."""
    from data.build import Build

    out = tmp_path_factory.mktemp("corpus") / "shards"
    Build(out=out, path=ROOT / "bytelm", held_out_percent=15).run()
    return out


@pytest.fixture(scope="session")
def run_folder(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a model trained for a few seconds: enough that its heads often agree."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert bytelm_command("train", "--data", str(shards), "--run", str(folder), *TRAIN) == 0
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test the same random numbers, and skip those of other engines that are missing.

    `make test-peers` installs the engines and asks for their tests alone (`-m peers`).
    """
    torch.manual_seed(0)  # Whatever ran before in this process.
    for marker in item.iter_markers("peers"):
        for package in marker.args:
            try:
                importlib.import_module(package)
            except ImportError as error:
                if item.config.getoption("markexpr") == "peers":
                    raise
                pytest.skip(f"{error}: make test-peers installs it and runs this test")
