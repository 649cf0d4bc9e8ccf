"""Every command, with whatever goes wrong around it: its work is kept, or refused before it began.

docs/faults.md shows the outcomes as a table, which the last test makes.
"""

import os
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from faults import COMMANDS, STUDIES, Around, Ended, Result, Toy, names, run, shape, table
from support import ROOT, write_rows

from eval.suites.problems import load_problems

pytestmark = pytest.mark.slow

QUICK = [name for name in COMMANDS if name not in STUDIES]
FILES = [name for name, command in COMMANDS.items() if command.result == "file"]
FOLDERS = [name for name, command in COMMANDS.items() if command.result == "folder"]
PLACED = [*FILES, *FOLDERS]
Normal = Callable[[str], tuple[Ended, Path]]


@pytest.fixture(scope="session")
def toy(shards: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    prompts = [{"id": index, "prompt": f"def f{index}("} for index in range(6)]
    problems = load_problems("micro")[:5]
    samples = [{"task_id": p.task_id, "completion": p.canonical_solution} for p in problems]
    graded = [{**row, "passed": index % 2 == 0} for index, row in enumerate(samples)]
    return Toy(
        shards,
        run_folder,
        write_rows(folder / "prompts.jsonl", prompts),
        write_rows(folder / "problems.jsonl", [vars(problem) for problem in problems]),
        write_rows(folder / "samples.jsonl", samples),
        write_rows(folder / "graded.jsonl", graded),
    )


@pytest.fixture(scope="session")
def normal(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Normal:
    """A function: how a command ends when nothing goes wrong, and where its result is."""
    known: dict[str, tuple[Ended, Path]] = {}

    def of(name: str) -> tuple[Ended, Path]:
        if name not in known:
            folder = tmp_path_factory.mktemp("normal")
            command = COMMANDS[name]
            ended = run(command, name, command.words(toy, "result"), folder, Around())
            assert ended.status == 0, ended.err
            known[name] = ended, folder / "result"
        return known[name]

    return of


def assert_work_is_kept(name: str, folder: Path, normal: Normal, result: str = "result") -> None:
    """The result is that of a run in which nothing goes wrong, and nothing else was left."""
    command = COMMANDS[name]
    if command.result != "stdout":
        assert shape(folder / result) == shape(normal(name)[1])
    left = {path.name for path in folder.iterdir()} - {result}
    known = {path.name for pattern in command.beside for path in folder.glob(pattern)}
    assert left == known


def assert_refused(ended: Ended, folder: Path) -> None:
    """The command was refused in one line, before it wrote anything."""
    assert ended.status in (1, 2), ended.err
    assert len(ended.messages) == 1, ended.err
    assert ended.messages[0].startswith("error: ")
    assert not [path for path in folder.rglob("*") if path.name.startswith((".result.", "result."))]


@pytest.mark.parametrize("kind", ["closed", "full", "gone"])
@pytest.mark.parametrize("name", QUICK)
def test_without_a_place_for_words(
    toy: Toy, normal: Normal, tmp_path: Path, name: str, kind: str
) -> None:
    command = COMMANDS[name]
    around = Around(stderr=kind)  # type: ignore[arg-type]
    ended = run(command, name, command.words(toy, "result"), tmp_path, around)
    assert ended.status == 0
    assert_work_is_kept(name, tmp_path, normal)
    if command.result == "stdout":
        assert ended.out == normal(name)[0].out


@pytest.mark.parametrize("kind", ["closed", "full", "gone"])
@pytest.mark.parametrize("name", QUICK)
def test_without_a_place_for_figures(
    toy: Toy, normal: Normal, tmp_path: Path, name: str, kind: str
) -> None:
    command = COMMANDS[name]
    around = Around(stdout=kind)  # type: ignore[arg-type]
    ended = run(command, name, command.words(toy, "result"), tmp_path, around)
    assert ended.status == 1
    assert "Traceback" not in ended.err
    why = {"closed": "stdout is closed", "full": "No space left", "gone": "Broken pipe"}[kind]
    if kind == "gone" and name == "generate to stdout":
        # `| head` is how one reads the beginning of a text.
        assert ended.messages == []
    else:
        assert len(ended.messages) == 1
        assert why in ended.messages[0]
    assert_work_is_kept(name, tmp_path, normal)


@pytest.mark.parametrize("name", QUICK)
def test_without_stdin(toy: Toy, normal: Normal, tmp_path: Path, name: str) -> None:
    command = COMMANDS[name]
    around = Around(stdin="closed")
    assert run(command, name, command.words(toy, "result"), tmp_path, around).status == 0
    assert_work_is_kept(name, tmp_path, normal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("name", QUICK)
def test_stopped(
    toy: Toy, normal: Normal, tmp_path: Path, name: str, share: float, number: int
) -> None:
    command = COMMANDS[name]
    seconds = share * normal(name)[0].seconds
    around = Around(signal=number, after_s=seconds)
    words = command.words(toy, "result")
    ended = run(command, name, words, tmp_path, around)
    assert "Traceback" not in ended.err
    assert ended.status in (0, 128 + number), ended.err
    if ended.status == 0:
        assert_work_is_kept(name, tmp_path, normal)
    elif not command.keeps and (tmp_path / "result").exists():
        # The signal came between the result and the end: the result is whole.
        assert shape(tmp_path / "result") == shape(normal(name)[1])
    if not command.keeps:
        return
    again = run(command, name, words, tmp_path, Around())
    assert again.status == 0, again.err
    assert_work_is_kept(name, tmp_path, normal)


@pytest.mark.parametrize("name", PLACED)
def test_a_place_where_nothing_can_be_written(toy: Toy, tmp_path: Path, name: str) -> None:
    command = COMMANDS[name]
    ended = run(command, name, command.words(toy, "/proc/none/result"), tmp_path, Around())
    assert_refused(ended, tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file(toy: Toy, tmp_path: Path, name: str) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "notes").write_text("mine")
    ended = run(COMMANDS[name], name, COMMANDS[name].words(toy, "result"), tmp_path, Around())
    assert_refused(ended, tmp_path)
    assert "is a folder" in ended.messages[0]
    assert (tmp_path / "result" / "notes").read_text() == "mine"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_the_place_of_a_folder(toy: Toy, tmp_path: Path, name: str) -> None:
    (tmp_path / "result").write_text("mine")
    ended = run(COMMANDS[name], name, COMMANDS[name].words(toy, "result"), tmp_path, Around())
    assert_refused(ended, tmp_path)
    assert (tmp_path / "result").read_text() == "mine"


@pytest.mark.parametrize("name", ["export", "build"])
def test_a_folder_that_holds_other_things(toy: Toy, tmp_path: Path, name: str) -> None:
    words = COMMANDS[name].words(toy, "result")
    first = run(COMMANDS[name], name, words, tmp_path, Around())
    assert first.status == 0
    (tmp_path / "result" / "notes").write_text("mine")
    ended = run(COMMANDS[name], name, words, tmp_path, Around())
    assert_refused(ended, tmp_path)
    assert (tmp_path / "result" / "notes").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_the_place_of_a_file(toy: Toy, normal: Normal, tmp_path: Path, name: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "target").write_text("old")
    (tmp_path / "work" / "result").symlink_to("../target")
    ended = run(
        COMMANDS[name], name, COMMANDS[name].words(toy, "result"), tmp_path / "work", Around()
    )
    assert ended.status == 0, ended.err
    assert (tmp_path / "work" / "result").is_symlink()
    assert shape(tmp_path / "target") == shape(normal(name)[1])


@pytest.mark.parametrize("name", FILES)
def test_a_device_in_the_place_of_a_file(toy: Toy, tmp_path: Path, name: str) -> None:
    (tmp_path / "result").symlink_to("/dev/null")
    ended = run(COMMANDS[name], name, COMMANDS[name].words(toy, "result"), tmp_path, Around())
    assert ended.status == 0, ended.err
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116
    assert (tmp_path / "result").is_symlink()


@pytest.mark.parametrize("name", FILES)
def test_a_place_that_is_full_at_the_end(
    toy: Toy, normal: Normal, tmp_path: Path, name: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "refuge").mkdir()
    (tmp_path / "work" / "result").symlink_to("/dev/full")
    around = replace(Around(), environment={"TMPDIR": str(tmp_path / "refuge")})
    ended = run(
        COMMANDS[name], name, COMMANDS[name].words(toy, "result"), tmp_path / "work", around
    )
    assert ended.status == 1
    [message] = ended.messages
    assert "No space left on device" in message
    [kept] = (tmp_path / "refuge").glob("bytelm-*-result")
    assert str(kept) in message
    assert shape(kept) == shape(normal(name)[1])


@pytest.mark.parametrize("kind", ["closed", "full", "gone"])
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_without_streams(
    toy: Toy, normal: Normal, tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "figures").mkdir()
    test_without_a_place_for_words(toy, normal, tmp_path / "words", name, kind)
    test_without_a_place_for_figures(toy, normal, tmp_path / "figures", name, kind)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_stopped(toy: Toy, normal: Normal, tmp_path: Path, name: str, number: int) -> None:
    test_stopped(toy, normal, tmp_path, name, 0.6, number)


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    inside = page.split("<!-- faults: begin -->\n")[1].split("<!-- faults: end -->")[0]
    kinds: tuple[tuple[str, Result], ...] = (
        ("A file", "file"), ("A folder", "folder"), ("stdout", "stdout"),
    )  # fmt: skip
    lists = [f"- {words}: {names(result)}." for words, result in kinds]
    assert inside.splitlines() == [*table(), "", *lists]
