"""Fixtures for runs that are started many times."""

from pathlib import Path

import pytest
from support import ROOT


@pytest.fixture(scope="session")
def few_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards with so little held out that a look at it costs no more than a few steps."""
    from bytelm.shards import ShardWriter

    folder = tmp_path_factory.mktemp("few") / "shards"
    with ShardWriter(folder) as writer:
        for path in sorted((ROOT / "bytelm").rglob("*.py")):
            writer.add("train", path.name, path.read_bytes())
        writer.add("held_out", "held_out", (ROOT / "data" / "build.py").read_bytes()[:1500])
        writer.finish({})
    return folder
