"""docs/many-gpus.md: its table is the plan command's, and its commands are ones that exist."""

import re
import shlex
import shutil
import subprocess

import pytest
from support import ROOT
from torch.distributed.run import get_args_parser

import bytelm.__main__
import eval.__main__
from bytelm.base.cli import main
from bytelm.base.parsing import parse

PAGE = (ROOT / "docs" / "many-gpus.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = {"bytelm": bytelm.__main__.COMMANDS, "eval": eval.__main__.COMMANDS}


def words_after(program: str) -> list[list[str]]:
    """The arguments of every call of `program` on the page."""
    lines = "\n".join(BLOCKS).replace("\\\n", " ").splitlines()
    found = [line.split(f"{program} ", 1)[1] for line in lines if f"{program} " in line]
    return [shlex.split(line) for line in found]


def test_the_table_is_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    [arguments] = [words for words in words_after("python -m bytelm") if words[0] == "plan"]
    assert main("bytelm", "", COMMANDS["bytelm"], [*arguments, "--markdown"]) == 0
    table = capsys.readouterr().out
    inside = PAGE.split("<!-- plan: begin -->\n")[1].split("<!-- plan: end -->")[0]
    assert inside == table


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_scripts_are_shell() -> None:
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_every_command_on_the_page_can_be_parsed() -> None:
    """By torchrun's parser, and what it starts by ours."""
    calls = words_after("torchrun")
    assert len(calls) == 5
    for words in calls:
        # What Slurm fills in.
        filled = ["8" if word == "$SLURM_NNODES" else word for word in words]
        options = get_args_parser().parse_args(filled)
        assert options.module
        program = options.training_script
        parsed = parse(program, "", COMMANDS[program], options.training_script_args)
        assert type(parsed).__name__.lower() == options.training_script_args[0]
