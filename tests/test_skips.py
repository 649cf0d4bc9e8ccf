"""Tests that are left out here are run somewhere else: each reason is listed with who runs them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

# The reason that a test gives, and where it runs all the same.
REASONS = {
    "needs a GPU": "scripts/gpu.sh, part tests",
    "no CUDA device": "scripts/gpu.sh, part tests",
    "needs an x86-64 compiler": "CI: its machines are x86-64",
    "this processor has no AMX to go without": "make test-slow on a processor with AMX",
    "mounting a file system needs root on Linux": "make test-slow as root",
    "g++ is not installed": "CI: it has g++",
    "needs g++'s sanitizers": "CI: it has g++",
    "a sanitizer keeps memory that was freed": "make test, which has no sanitizer",
    "no gzip program here": "CI: it has gzip",
    "these walls cannot be put up here": "CI: its machines have namespaces and Landlock",
    "make is not installed": "CI, which begins with make",
    "bash is not installed": "CI, which begins with bash",
}


def skips(path: Path) -> Iterator[str]:
    """The reason of every skip in a file of tests; the name of a call that gives none."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "unittest.skip"):
            words = [word for word in node.keywords if word.arg == "reason"]
            given = words[0].value if words else node.args[-1] if node.args else None
            yield str(given.value) if isinstance(given, ast.Constant) else ast.unparse(node)
        elif name in ("pytest.importorskip", "pytest.xfail", "pytest.mark.xfail"):
            yield ast.unparse(node)


def files() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.medium
def test_every_reason_to_skip_a_test_is_known() -> None:
    """Packages are no reason: tests that need one are marked `peers`, and CI installs it."""
    found: set[str] = set()
    for path in files():
        # The hook for the marker `peers`, which makes no exception for CI.
        if path != ROOT / "tests" / "conftest.py":
            reasons = set(skips(path))
            found |= reasons
            unknown = reasons - set(REASONS)
            assert not unknown, f"{path}: who runs this test? Say so in tests/test_skips.py"
    assert found == set(REASONS)


def test_ci_runs_every_kind_of_test() -> None:
    """Sanitizers apart, which CONTRIBUTING says."""
    run = (ROOT / ".ci" / "run").read_text()
    for target in ("lint", "test", "test-slow", "test-peers"):
        assert f"make {target}\n" in run
    makefile = (ROOT / "Makefile").read_text()
    assert "pytest $(PYTEST) -m peers\n" in makefile


@pytest.mark.slow
@pytest.mark.parametrize("asked", [True, False])
def test_a_test_of_an_engine_that_is_not_installed(asked: bool, tmp_path: Path) -> None:
    """It is skipped among others, and fails where such tests were asked for."""
    from support import python

    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "test_one.py").write_text(
        "import pytest\n\n\n@pytest.mark.peers('no_such_engine')\ndef test_it():\n    pass\n"
    )
    mark = ["-m", "peers"] if asked else []
    done = python(
        "-m", "pytest", "-n", "0", "-rs", "-p", "no:cacheprovider", "-c",
        str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path / "test_one.py"),
        *mark,
    )  # fmt: skip
    assert done.returncode == (1 if asked else 0), done.stdout
    assert "no_such_engine" in done.stdout
    assert ("make test-peers installs it" in done.stdout) != asked
