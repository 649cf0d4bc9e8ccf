"""Programs of other languages: compiled and run behind the walls, they pass with status 0."""

import shutil
from pathlib import Path

import pytest
from sandboxes import descendants, warden_of
from support import wait_until

from eval.sandbox.languages import LANGUAGES, Language, tool_folders
from eval.sandbox.runner import Limits, Program, Runner
from eval.sandbox.verdict import Verdict

HERE = [name for name, language in LANGUAGES.items() if not language.missing]
# A program that ends with status 0, one that fails, and one that does not compile.
PROGRAMS = {
    "js": ("console.assert(1 + 1 == 2)", "throw new Error('why')", "let let = ("),
    "cpp": ("int main() { return 0; }", "int main() { return 3; }", "int main( {"),
    "java": (
        "class Problem { public static void main(String[] a) { assert 1 + 1 == 2; } }",
        "class Problem { public static void main(String[] a) { assert 1 == 2; } }",
        "class Problem {",
    ),
    "go": (
        "package main\nimport \"testing\"\nfunc TestOne(t *testing.T) {}\n",
        "package main\nimport \"testing\"\nfunc TestOne(t *testing.T) { t.Fail() }\n",
        "package main\nfunc {",
    ),
    "sh": ("[ $((1 + 1)) = 2 ]", "[ 1 = 2 ]", "if"),
    "perl": ("exit(1 + 1 == 3);", "die 'why';", "if ("),
}  # fmt: skip


def run(runner: Runner, source: str, language: str = "sh") -> Verdict:
    return runner.run(Program(source, language=language), Limits())


@pytest.mark.slow
@pytest.mark.parametrize("language", HERE)
def test_each_language_that_is_installed(namespaces: Runner, language: str) -> None:
    right, wrong, broken = PROGRAMS[language]
    assert run(namespaces, right, language) == "passed"
    verdict = run(namespaces, wrong, language)
    assert (verdict.startswith("failed: exit status "), verdict.kind) == (True, "failed")
    compiled = len(LANGUAGES[language].commands) > 1
    verdict = run(namespaces, broken, language)
    assert verdict.kind == "failed"
    assert verdict.endswith(" of the compiler") == compiled
    assert verdict.printed


def test_a_right_program_never_fails_for_want_of_its_tools(runner: Runner) -> None:
    """Where the walls cannot hold a compiler, the grader says so: that is no wrong program."""
    assert run(runner, PROGRAMS["sh"][0]).kind in ("passed", "infra_error")


def test_the_programs_know_their_languages() -> None:
    assert PROGRAMS.keys() == LANGUAGES.keys()
    assert "sh" in HERE


FORBIDDEN = (
    "cat /etc/passwd", "ls /root/*", "ls /home/*", "echo x > /usr/x", "[ -e /proc/1 ]",
    "echo > /dev/tcp/127.0.0.1/22", f"[ -e {Path(__file__)} ]", "mount -t tmpfs none /tmp",
    "unshare -r true", '[ "$USER" ]', "chroot /tmp /bin/sh", "ls /sys/*",
)  # fmt: skip


@pytest.mark.medium
def test_a_shell_script_behind_the_walls(namespaces: Runner) -> None:
    verdict = run(namespaces, "echo seen; exit 3")
    assert (verdict, verdict.printed) == ("failed: exit status 3", "seen\n")
    work = "true | cat && [ -w . ] && echo x > a && [ $(cat a) = x ] && chmod 700 a"
    assert run(namespaces, work) == "passed"
    assert run(namespaces, "kill -9 $$").kind == "failed"
    for forbidden in FORBIDDEN:
        verdict = run(namespaces, f"{forbidden} || exit 77")
        assert verdict == "failed: exit status 77", forbidden


@pytest.mark.medium
def test_nothing_that_a_script_began_is_left(namespaces: Runner) -> None:
    assert run(namespaces, "exit 0") == "passed"  # the interpreter for tools has started
    warden = warden_of(namespaces)
    wait_until(lambda: len(descendants(warden)) == 2, 20)
    assert run(namespaces, "setsid sleep 1000 & (sleep 1000 &) & exit 0") == "passed"
    wait_until(lambda: len(descendants(warden)) == 2, 20)


@pytest.mark.slow
def test_a_script_that_does_not_end(namespaces: Runner) -> None:
    verdict = run(namespaces, "echo begins; (while :; do :; done) & while :; do :; done")
    assert (verdict, verdict.kind, verdict.ran_out) == ("timed out", "timed_out", True)
    assert verdict.printed == "begins\n"


def test_tools_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "no-cc" else f"/bin/{tool}")
    language = Language("x", "a.x", (("no-cc", "a.x"), ("run", "a"), ("./a",), ("no-cc", "b")))
    assert language.missing == ["no-cc"]
    assert language.resolved()[0] == ["no-cc", "a.x"]


def test_a_file_that_lies_here_is_not_the_compiled_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    before = tool_folders()
    monkeypatch.chdir(tmp_path)
    assert LANGUAGES["cpp"].resolved()[-1] == ["./program"]
    assert tool_folders() == before


def test_the_systems_own_folders_are_not_listed_as_tools() -> None:
    for path in tool_folders():
        assert Path(path).exists()
        assert not path.startswith("/usr/")
        assert path not in ("/", "/usr", "/home", "/root", str(Path.home()))
