"""Fixtures for tests of decoding."""

from pathlib import Path

import pytest

from bytelm.checkpoint import load_checkpoint
from bytelm.model.model import Model


@pytest.fixture(scope="session")
def trained(run_folder: Path) -> Model:
    """The session's model, whose heads often agree."""
    return load_checkpoint(run_folder).model
