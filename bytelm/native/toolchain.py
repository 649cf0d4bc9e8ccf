"""The C++ compiler of this machine, for our own C++ and for torch's, and private folders.

CXX and CC may be commands of several words, such as `ccache g++`, as they may for make. Torch takes
them for the name of a program, so it gets a script that runs the command. Torch does not quote
paths either, so its files must have paths without white space.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

NAMES = ("g++", "c++", "clang++")
TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"
# Where private folders may lie, besides the folder for temporary files.
TEMPORARY = ("/tmp", "/var/tmp")


class NoCompilerError(Exception):
    """C++ cannot be compiled or loaded. The message says why, in one line."""


def compiler_command() -> list[str]:
    """The command that compiles C++, as words: that in CXX, or the first of NAMES that is here.

    The first word is the path of a program. Raises NoCompilerError if it is not found.
    """
    asked = os.environ.get("CXX", "").strip()
    if asked:
        return command_of(asked)
    for name in NAMES:
        if found := shutil.which(name):
            return [found]
    raise NoCompilerError(f"no C++ compiler ({', '.join(NAMES)}) was found")


def command_of(asked: str) -> list[str]:
    """The words of a command from the environment; the first is the path of its program.

    Raises NoCompilerError if the program is not found.
    """
    # A path with white space, not quoted.
    if found := shutil.which(asked):
        return [found]
    try:
        words = shlex.split(asked)
    except ValueError as error:
        raise NoCompilerError(f"no C++ compiler: {asked!r} is not a command: {error}") from error
    found = shutil.which(words[0]) if words else None
    if found is None:
        raise NoCompilerError(f"no C++ compiler ({asked}) was found")
    return [found, *words[1:]]


def private_folders() -> Iterator[Path]:
    """Folders for compiled code that only this user can write, the best first.

    All but the last are kept, for the next process. The last is removed when this process ends.
    Raises OSError if no folder can be made.
    """
    temporary = []
    with contextlib.suppress(OSError):
        temporary.append(tempfile.gettempdir())
    for parent in dict.fromkeys([*temporary, *TEMPORARY]):
        folder = Path(parent) / f"bytelm-{os.getuid()}"
        # Something else of that name may be there, even a link that someone else has placed.
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            about = folder.lstat()
            own = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
            if own and not about.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK):
                yield folder
    yield _folder_of_process()


@functools.cache
def _folder_of_process() -> Path:
    folder = tempfile.mkdtemp(prefix="bytelm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def fits_torch(path: Path | str) -> bool:
    """Whether `path` stays whole in torch's commands, which do not quote it."""
    try:
        return shlex.split(str(path)) == [str(path)]
    except ValueError:
        return False


def folder_for_torch() -> Path:
    """A private folder that torch can compile in, or any private folder if there is none."""
    folders = list(private_folders())
    return next((folder for folder in folders if fits_torch(folder)), folders[0])


def prepare_torch() -> None:
    """Set up torch's compiler for CXX and CC of several words, and for paths with white space.

    Call this before torch compiles. What cannot be set up is left: torch will say why it fails.
    """
    with contextlib.suppress(OSError):
        temporary = tempfile.gettempdir()
        if not fits_torch(os.environ.get(TORCH_CACHE) or temporary):
            os.environ[TORCH_CACHE] = str(folder_for_torch() / "inductor")
        if not fits_torch(temporary):
            from torch._inductor import config

            # Torch would compile the header in the folder for temporary files.
            config.cpp_cache_precompile_headers = False
    with contextlib.suppress(OSError, NoCompilerError):
        if (script := _script_for("CXX")) is not None:
            from torch._inductor import config

            config.cpp.cxx = (None, script)
    with contextlib.suppress(OSError, NoCompilerError):
        if (script := _script_for("CC")) is not None:
            os.environ["CC"] = script


def _script_for(variable: str) -> str | None:
    """A script that runs the command in `variable`, or None if torch needs none.

    Raises NoCompilerError if the command is not found, and OSError if writing fails.
    """
    asked = os.environ.get(variable, "").strip()
    if not asked or fits_torch(asked):
        return None
    text = f'#!/bin/sh\nexec {shlex.join(command_of(asked))} "$@"\n'
    name = f"compiler-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder = folder_for_torch()
    script = folder / name
    if not script.is_file():
        descriptor, aside = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(aside).chmod(0o700)
        Path(aside).replace(script)
    return str(script)


def why_failed(error: Exception) -> str:
    """Why compiling failed, in one line: the compiler's first error if the message quotes it."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    output = text.partition("Output:")[2].splitlines()
    quoted = [line.strip() for line in output if "error" in line.lower()]
    first = lines[0] if lines else type(error).__name__
    return f"{first}: {quoted[0]}"[:300] if quoted else first[:160]
