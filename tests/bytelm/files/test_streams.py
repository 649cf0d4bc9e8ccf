"""Words for people may be lost, results may not: closed, full, slow and forsaken streams."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, one_line, python

SAY = "from bytelm.files.streams import *; fill_closed_streams(); import sys; "


def shell(command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash. In it, $PY is this Python."""
    values: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60}
    environment = {**os.environ, "PY": sys.executable, **options.pop("env", {})}
    return subprocess.run(
        ["bash", "-c", command], check=False, env=environment, **{**values, **options}
    )


def test_a_file_does_not_take_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        SAY + f"file = open({str(tmp_path / 'f')!r}, 'wb')\n"
        "print('lost'); os.write(1, b'lost'); say('lost')\n"
        "file.write(b'kept'); file.close()\n"
        "assert sys.stdin.read() == ''"
    )
    done = shell(f'"$PY" -c "{code}" <&- >&- 2>&-')
    assert done.returncode == 0
    assert (tmp_path / "f").read_bytes() == b"kept"


@pytest.mark.medium
@pytest.mark.parametrize("place", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_words_that_cannot_be_printed_end_nothing(place: str) -> None:
    code = (
        SAY + "import time, warnings; time.sleep(0.2)\n"
        "for _ in progress_bar(range(3)): say('words' * 10_000)\n"
        "warnings.warn('a warning')\n"
        "write_stdout(b'done')"
    )
    done = shell(f'exec "$PY" -c "{code}" {place}')
    assert (done.returncode, done.stdout) == (0, "done")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("place", "why"),
    [
        (">&-", "stdout is closed"),
        (">/dev/full", "No space left on device"),
        ("> >(exec true)", "Broken pipe"),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_cannot_be_written_are_an_error(place: str, why: str, unbuffered: str) -> None:
    code = (
        SAY + "import time; time.sleep(0.2)\n"
        "try: write_stdout(b'x' * 100_000)\n"
        "except OSError as error: say(error.strerror)\n"
        "else: say('written')"
    )
    done = shell(f'exec "$PY" -c "{code}" {place}', env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (0, f"{why}\n")


@pytest.mark.medium
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_every_byte(unbuffered: str) -> None:
    code = SAY + "write_stdout(bytes(range(256)) * 4000); write_stdout(b'end')"
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=writing,
                               env=environment)  # fmt: skip
    os.close(writing)
    time.sleep(0.3)
    with os.fdopen(reading, "rb") as file:
        received = file.read()
    assert process.wait() == 0
    assert received == bytes(range(256)) * 4000 + b"end"


def test_a_message_has_a_line_of_its_own_while_a_bar_is_shown() -> None:
    code = (
        SAY + "bar = progress_bar(total=3, desc='working')\n"
        "bar.update(); bar.refresh(); say('a message'); bar.update(); bar.close()"
    )
    said = python("-c", code).stderr
    shown = [line.rpartition("\r")[2] for line in said.split("\n")]
    assert "a message" in shown
    assert shown[-2].startswith("working")


def test_a_bar_whose_construction_was_ended_says_nothing() -> None:
    code = (
        SAY + "import tqdm; tqdm.tqdm.__init__ = lambda *_, **__: sys.exit(7)\n"
        "progress_bar(range(3))"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (7, "")


def test_a_closed_stdin_is_wrong_input() -> None:
    code = (
        SAY + "from bytelm.base.errors import InputError\n"
        "try: read_stdin()\n"
        "except InputError as error: print(error)"
    )
    assert shell(f'"$PY" -c "{code}" <&-').stdout == "standard input is closed; give a file\n"


COMMAND = """
import dataclasses, sys
from bytelm.commands.cli import main
@dataclasses.dataclass
class Work:
    '''Work.'''
    def run(self):
        return {'figures': 1}
sys.exit(main('work', '', {'work': Work}, sys.argv[1:]))
"""


@pytest.mark.parametrize("words", ["work", "work --help"])
@pytest.mark.parametrize(
    ("place", "why"), [(">/dev/full", "No space left"), (">&-", "stdout is closed")]
)
def test_figures_and_help_that_cannot_be_printed_fail_in_one_line(
    words: str, place: str, why: str
) -> None:
    done = shell(f'"$PY" -c "$COMMAND" {words} {place}', env={"COMMAND": COMMAND})
    if place == ">&-" and "--help" in words:
        # Nobody wanted to read it.
        assert done.returncode == 0
        return
    assert done.returncode == 1
    assert why in one_line(done.stderr)


def test_a_reader_that_is_gone_is_told_in_one_line_and_without_a_traceback() -> None:
    command = 'set -o pipefail; "$PY" -c "$COMMAND" work | true'
    done = shell(command, env={"COMMAND": COMMAND})
    assert done.returncode == 1
    assert one_line(done.stderr) == (
        "error: the work is done, but its figures cannot be printed on stdout: Broken pipe"
    )
