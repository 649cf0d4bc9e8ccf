"""The table of suites: every entry is whole, and a missing file is said with the way to it."""

import inspect
from pathlib import Path

import pytest
from support import write_rows

from bytelm.toolkit import InputError
from eval.suites.formats.known import FORMATS
from eval.suites.named import named_suite, named_suites
from eval.suites.problems import SUITES, load_suite, suite_path
from eval.suites.stops import STOPS

CRUX = {"code": "def f(x):\n    return x", "input": "1", "output": "1", "id": "sample_0"}
VARIABLES = ("BYTELM_SUITES", "HUMANEVAL_OVERRIDE_PATH", "MBPP_OVERRIDE_PATH")


@pytest.fixture(autouse=True)
def nothing_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this machine is found, and no data set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("eval.suites.named.read_dataset", lambda *_: "no datasets here")


def test_every_entry_is_whole() -> None:
    assert set(SUITES) <= set(named_suites())
    for name, suite in named_suites().items():
        form = FORMATS[suite.format]
        assert set(suite.options) <= set(inspect.signature(form.problem).parameters), name
        assert suite.stops in (*STOPS, "own"), name
        assert suite.published, name
        assert suite.licence, name
        # One place where its file is, and only one.
        assert [bool(suite.beside), bool(suite.package), bool(suite.files)].count(True) == 1, name
        assert bool(suite.dataset) == bool(suite.split), name


def test_the_files_beside_the_table_and_in_the_package_are_found() -> None:
    for name in SUITES:
        assert len(load_suite(name).problems) == named_suite(name).problems
        assert suite_path(name, None).is_file()


@pytest.mark.parametrize("name", [name for name in named_suites() if name not in SUITES])
def test_a_missing_file_is_said_with_the_way_to_it(name: str, tmp_path: Path) -> None:
    suite = named_suite(name)
    for read in (load_suite, lambda suite: suite_path(suite, None)):
        with pytest.raises(InputError) as caught:
            read(name)
        said = str(caught.value)
        assert "\n" not in said
        assert said.startswith(f"suite {name}: its file {suite.files[0]} is not given")
        words = [suite.published, suite.licence, "problems FILE", "set BYTELM_SUITES to that"]
        for word in [*words, suite.variable]:
            assert word in said
    assert ("no datasets here" in said) is False


def test_the_folder_of_files_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BYTELM_SUITES", str(tmp_path))
    with pytest.raises(
        InputError, match=rf"cruxeval\.jsonl is not in {tmp_path}, and no datasets here; fetch "
    ):
        load_suite("cruxeval-output")
    path = write_rows(tmp_path / "cruxeval.jsonl", [CRUX])
    assert suite_path("cruxeval-input", None) == path
    assert load_suite("cruxeval-input").problems[0].task_id == "sample_0"
    # Names with a star.
    folder = tmp_path / "MultiPL-E" / "humaneval-js"
    folder.mkdir(parents=True)
    (folder / "test-00000-of-00001.parquet").touch()
    assert suite_path("multipl-e-js", None).parent == folder
    (folder / "test-00000-of-00002.parquet").touch()
    with pytest.raises(InputError, match=r"suite multipl-e-js: .*00001.* and .*00002.* are both"):
        suite_path("multipl-e-js", None)
    monkeypatch.setenv("BYTELM_SUITES", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"BYTELM_SUITES: .*nowhere is no folder; name the folder"):
        load_suite("mbpp")


def test_evalplus_variables_name_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, task_id, suites in (
        ("HUMANEVAL_OVERRIDE_PATH", "HumanEval/0", ("humaneval-plus", "humaneval-plus-base")),
        ("MBPP_OVERRIDE_PATH", "Mbpp/2", ("mbpp-plus", "mbpp-plus-base")),
    ):
        row = {"task_id": task_id, "prompt": "def f(x):\n", "canonical_solution": "    return x\n",
               "entry_point": "f", "base_input": [[1]], "plus_input": [], "atol": 0}  # fmt: skip
        path = write_rows(tmp_path / f"{name}.jsonl", [row])
        monkeypatch.setenv(name, str(path))
        for suite in suites:
            assert suite_path(suite, None) == path
            assert load_suite(suite).problems[0].task_id == task_id
        monkeypatch.setenv(name, str(tmp_path / "none.jsonl"))
        with pytest.raises(InputError, match=r"none\.jsonl: No such file"):
            load_suite(suites[0])
