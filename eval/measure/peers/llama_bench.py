"""llama.cpp built for this machine, as its own program `llama-bench` measures it.

A package of llama.cpp is built for any processor. A build for this machine uses all that its
processor has, so it is the fairer peer. llama-bench times the reading of a prompt and the decoding
after it apart. It reads and writes ids drawn by chance and never chooses a byte, so there is no
text to compare.
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from bytelm.toolkit import Checkpoint, InputError, setting
from eval.measure.options import Dtype
from eval.measure.peers.decoders import exported_gguf
from eval.records import Count, Record, as_record

# Of a program that only explains its options.
PATIENCE_S = 60.0
# What the system says of a file that is no program; other errors are its own.
NO_PROGRAM = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP)
REMEDY = "is it llama-bench?"


class BenchTest(Record):
    """One test of llama-bench's JSON, as far as it is used here."""

    n_prompt: Count
    """Ids that it read."""
    n_gen: Count
    """Ids that it wrote, one at a time."""
    n_depth: Count
    """Ids that lay in the cache before."""
    n_threads: Count
    samples_ns: list[Annotated[int, Field(gt=0)]]
    """Nanoseconds of each repetition."""
    build_number: object = None
    build_commit: object = None
    backends: object = None


class NativeRound(NamedTuple):
    """What one round gave: seconds of all prompts, and of all steps after them."""

    prefill_s: float
    decoding_s: float
    version: str


@dataclass(frozen=True)
class LlamaBench:
    """A program llama-bench with a model to measure."""

    asked: Path
    """The program as the user named it."""
    model: Path
    """A gguf file."""
    threads: int

    def round(self, prompts: int, prompt_bytes: int, max_bytes: int) -> NativeRound:
        """Read `prompts` prompts of `prompt_bytes` bytes, and write `max_bytes` after each.

        As in the other decoders, a prompt begins with an id of its own, and its forward gives the
        first byte. So there is a step less than bytes. Raises InputError where the program fails
        or prints anything but such measurements.
        """
        read, steps = 1 + prompt_bytes, max_bytes - 1
        reading, warnings = self._measure(prompts, read, 0, 0)
        prefill_s, decoding_s = sum(reading.samples_ns) / 1e9, 0.0
        if steps:
            decoding, _ = self._measure(prompts, 0, steps, read)
            decoding_s = sum(decoding.samples_ns) / 1e9
        return NativeRound(prefill_s, decoding_s, self._version(reading, warnings))

    def _measure(
        self, repetitions: int, n_prompt: int, n_gen: int, n_depth: int
    ) -> tuple[BenchTest, list[str]]:
        """The test, and what the program warns of: a build without optimization, say."""
        # Depth 0 is the default. Flash attention is off as in the package: it is slower on CPUs.
        depth = ("-d", str(n_depth)) if n_depth else ()
        said = run_program(self.asked, (
            "-m", str(self.model), "-p", str(n_prompt), "-n", str(n_gen), *depth,
            "-r", str(repetitions), "-t", str(self.threads), "-fa", "0", "-ngl", "0", "-o", "json",
        ))  # fmt: skip
        name = setting("llama_bench", str(self.asked))
        try:
            tests = json.loads(said.stdout)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name} printed no JSON ({error}); {REMEDY}") from error
        if not isinstance(tests, list) or len(tests) != 1:
            raise InputError(f"{name} printed other JSON than a list of one test; {REMEDY}")
        test = as_record(tests[0], BenchTest, f"{name} printed JSON", REMEDY)
        wanted = {
            "n_prompt": n_prompt, "n_gen": n_gen, "n_depth": n_depth, "n_threads": self.threads,
        }  # fmt: skip
        for key, value in wanted.items():
            if getattr(test, key) != value:
                raise InputError(
                    f"{name} was asked for {key} {value} and says {getattr(test, key)}; {REMEDY}"
                )
        if len(test.samples_ns) != repetitions:
            raise InputError(
                f"{name} was asked for {repetitions} repetitions and says "
                f"{len(test.samples_ns)}; {REMEDY}"
            )
        return test, [line for line in said.stderr.splitlines() if line.startswith("warning:")]

    def _version(self, test: BenchTest, warnings: Sequence[str]) -> str:
        """What the program says of itself, and the beginning of its hash."""
        said = [f"build {test.build_number} ({test.build_commit})"]
        said += [str(test.backends)] if test.backends else []
        said += _compiler(self.asked)
        with find_program(self.asked).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ", ".join([*said, f"sha256 {digest[:12]}", *warnings])


def open_llama_bench(
    asked: Path, checkpoint: Checkpoint, dtype: Dtype, threads: int, scratch: Path
) -> LlamaBench:
    """The program, with the checkpoint's weights in `dtype`; the export goes into `scratch`."""
    return LlamaBench(asked, exported_gguf(checkpoint, dtype, scratch), threads)


def check_llama_bench(asked: Path) -> None:
    """Raise InputError where `asked` is no llama-bench that can measure at a depth."""
    said = run_program(asked, ("--help",), PATIENCE_S)
    options = said.stdout + said.stderr
    name = setting("llama_bench", str(asked))
    if "--n-prompt" not in options:
        raise InputError(f"{name} is no llama-bench: its --help does not name --n-prompt")
    if "--n-depth" not in options:
        raise InputError(
            f"{name} is too old: it cannot decode at a depth (-d, --n-depth); build llama.cpp of "
            "May 2025 or later"
        )


def _compiler(asked: Path) -> list[str]:
    """What built the program, where it says so (`--version`): "built with GNU 12.2.0 for ..."."""
    if "--version" not in run_program(asked, ("--help",), PATIENCE_S).stdout:
        return []
    said = run_program(asked, ("--version",), PATIENCE_S)
    lines = (said.stdout + said.stderr).splitlines()
    return [line.strip() for line in lines if line.startswith("built with ")]


def find_program(asked: Path) -> Path:
    """The program at this place or, if there is none, of this name in PATH.

    Raises InputError where there is none.
    """
    found = shutil.which(asked.absolute()) or shutil.which(asked)
    if found is not None:
        return Path(found)
    try:
        reason = "is a folder: name the program in it" if asked.is_dir() else "is no program"
        if not asked.exists():
            reason = "is not there"
    except OSError as error:
        reason = f"cannot be looked at ({error.strerror})"
    raise InputError(f"{setting('llama_bench', str(asked))}: {asked} {reason}")


def run_program(
    asked: Path, arguments: Sequence[str], timeout_s: float | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the program and wait for its end.

    Raises InputError where it is no program, fails, or takes longer than `timeout_s` seconds.
    """
    name = setting("llama_bench", str(asked))
    # A build with CUDA would give large products to a GPU, whatever -ngl says.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(
            [find_program(asked), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", env=environment, timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{name} has not explained its options (--help) in {timeout_s:g} s; {REMEDY}"
        ) from error
    except OSError as error:
        if error.errno not in NO_PROGRAM:
            raise
        raise InputError(f"{name} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise InputError(f"{name} failed with {_end(done.returncode)}{_last_line(done)}")
    return done


def _end(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"signal {-status}"
    hint = " (was it built for another processor?)" if number == signal.SIGILL else ""
    return f"{number.name}{hint}"


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line that the program said, printable and short."""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    if not lines:
        return ""
    text = "".join(character if character.isprintable() else " " for character in lines[-1])
    return f": {' '.join(text.split())[:200]}"
