"""Programs in other languages: which tools compile and run them.

As in MultiPL-E (https://github.com/nuprl/MultiPL-E), a program comes with its tests in one file,
and passes if it ends with status 0. So tests and program share a process: a program that ends it
early, with status 0, passes.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

LEAST_SECONDS = 15.0
"""As in MultiPL-E: compilers take their time."""


@dataclass(frozen=True)
class Language:
    """How a program is run. `commands` run one after another, in a folder that holds `file`."""

    name: str
    file: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def missing(self) -> list[str]:
        """The tools that are not installed here."""
        tools = dict.fromkeys(command[0] for command in self.commands)
        return [tool for tool in tools if not tool.startswith("./") and not shutil.which(tool)]

    def resolved(self) -> list[list[str]]:
        """The commands, with the paths of their tools, links followed."""
        return [[_real_path(tool), *rest] for tool, *rest in self.commands]

    @property
    def libraries(self) -> str:
        """A folder of libraries beside the first tool's, which finds it by /proc elsewhere."""
        folder = Path(_real_path(self.commands[0][0])).parent.parent / "lib"
        return str(folder) if self.name == "java" else ""


def _real_path(tool: str) -> str:
    if tool.startswith("./"):  # what the compiler will have made
        return tool
    found = shutil.which(tool)
    return str(Path(found).resolve()) if found else tool


_JARS = os.pathsep.join([".", *filter(None, [os.environ.get("CLASSPATH")])])
LANGUAGES = {
    language.name: language
    for language in (
        Language("js", "program.js", (("node", "program.js"),)),
        Language(
            "cpp",
            "program.cpp",
            (("g++", "-std=c++17", "program.cpp", "-o", "program"), ("./program",)),
        ),
        Language(
            "java",
            "Problem.java",
            (
                ("javac", "-encoding", "UTF8", "-cp", _JARS, "-d", ".", "Problem.java"),
                ("java", "-XX:+UseSerialGC", "-ea", "-cp", _JARS, "Problem"),
            ),
        ),
        Language("go", "program_test.go", (("go", "test", "program_test.go"),)),
        Language("sh", "program.sh", (("bash", "program.sh"),)),
        Language("perl", "program.pl", (("perl", "program.pl"),)),
    )
}


def tool_folders() -> list[str]:
    """Folders outside of the system's own that installed tools, and jars, lie in."""
    found: dict[str, None] = {}
    for language in LANGUAGES.values():
        for command in language.resolved():
            path = Path(command[0])
            if path.is_absolute() and path.exists():
                found[str(path.resolve().parent.parent)] = None
    jars = [path for path in _JARS.split(os.pathsep) if os.path.isabs(path)]
    outside = [path for path in found if not path.startswith("/usr") and path != "/"]
    return [path for path in (*outside, *jars) if Path(path).exists()]
