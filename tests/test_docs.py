"""The pages: plain sentences, links that lead somewhere, and commands that exist."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pages import DOCS, MANY_GPUS, PAGES, README, anchors, blocks, calls, sentences
from support import ROOT, bytelm_command
from torch.distributed.run import get_args_parser

import bytelm.__main__
import data.__main__
import eval.__main__
from bytelm.commands.cli import Command
from bytelm.commands.parsing import parse

COMMANDS: dict[str, Mapping[str, Callable[..., Command]]] = {
    "bytelm": bytelm.__main__.COMMANDS,
    "data": data.__main__.COMMANDS,
    "eval": eval.__main__.COMMANDS,
}
MOST_WORDS = 30
LONGEST_README = 150


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def parsed(room: str, words: list[str]) -> object:
    """The command that a command line gives on a machine with GPUs; InputError if it is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.device_count", lambda: 8)
        command: object = parse(room, "", COMMANDS[room], words)
    return command


def torchrun_calls(page: Path) -> list[list[str]]:
    """The words after every torchrun on the page."""
    text = "\n".join(block.text for block in blocks(page, "sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "torchrun " in line]
    return [shlex.split(line.split("torchrun ", 1)[1]) for line in lines]


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_sentences_are_short(page: Path) -> None:
    long = [text for text in sentences(page) if len(text.split()) > MOST_WORDS]
    assert not long, f"{name_of(page)}: sentences of more than {MOST_WORDS} words: {long}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)}: {link}"


def test_every_page_of_docs_is_linked_from_readme() -> None:
    text = README.read_text(encoding="utf-8")
    for page in DOCS:
        assert f"](docs/{page.name})" in text, page.name


def test_the_table_is_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    found = [words for block in blocks(MANY_GPUS, "sh") for _, words in calls(block)]
    [arguments] = [words for words in found if words[0] == "plan"]
    assert bytelm_command(*arguments, "--markdown") == 0
    table = capsys.readouterr().out
    page = MANY_GPUS.read_text(encoding="utf-8")
    inside = page.split("<!-- plan: begin -->\n")[1].split("<!-- plan: end -->")[0]
    assert inside == table


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("page", [README, *DOCS], ids=name_of)
def test_the_scripts_are_shell(page: Path) -> None:
    for block in blocks(page, "sh"):
        done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
        assert done.returncode == 0, f"{block.text}\n{done.stderr}"


@pytest.mark.medium
@pytest.mark.parametrize("page", [README, *DOCS], ids=name_of)
def test_every_command_can_be_parsed(page: Path) -> None:
    """Those that tests cannot run, too."""
    for block in blocks(page, "sh"):
        for room, words in calls(block):
            command = parsed(room, words)
            assert type(command).__name__.lower() == words[0].replace("-", "")


def test_every_torchrun_can_be_parsed() -> None:
    """By torchrun's parser, and what it starts by ours."""
    found = torchrun_calls(MANY_GPUS)
    assert found
    for words in found:
        # What Slurm fills in.
        filled = ["8" if word == "$SLURM_NNODES" else word for word in words]
        options = get_args_parser().parse_args(filled)
        assert options.module
        command = parsed(options.training_script, options.training_script_args)
        assert type(command).__name__.lower() == options.training_script_args[0]
