"""Runners that tests share: one of each backend a session, as each takes a while to start."""

from collections.abc import Iterator

import pytest
from sandboxes import BACKENDS, works

from eval.sandbox.runner import Backend, Runner


def _started(backend: Backend) -> Iterator[Runner]:
    if not works(backend):
        pytest.skip("these walls cannot be put up here")
    with Runner(backend) as runner:
        yield runner


@pytest.fixture(scope="session", params=BACKENDS)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A runner of each backend that works here, one after another."""
    yield from _started(request.param)


@pytest.fixture(scope="session", params=["namespaces", "landlock"])
def walled(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """A runner of each backend that has walls and works here, one after another."""
    yield from _started(request.param)


@pytest.fixture(
    scope="session",
    params=[
        "namespaces",
        pytest.param("landlock", marks=pytest.mark.slow),
        pytest.param("none", marks=pytest.mark.slow),
    ],
)
def thorough(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """As `runner`, for tests that take a while: the other backends are for make test-slow."""
    yield from _started(request.param)


@pytest.fixture(scope="session")
def namespaces() -> Iterator[Runner]:
    """A runner behind namespaces."""
    yield from _started("namespaces")


@pytest.fixture(scope="session")
def landlock() -> Iterator[Runner]:
    """A runner behind Landlock."""
    yield from _started("landlock")
