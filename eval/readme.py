"""`python -m eval readme`: README's measured block is made from a sealed report, never typed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm import InputError, say, write_text
from eval.report import terminal_table

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def measured_block(report: dict[str, Any]) -> str:
    """What stands between README's marks: the terminal's table, and what it was measured on."""
    machine, versions = report["machine"], report["versions"]
    table = "\n".join(terminal_table(report))
    where = f"{machine['processor']}, {machine['cores']} cores, torch {versions['torch']}"
    # The caption says what the figures are of, so that nobody takes them for another machine's.
    return f"{BEGIN}\n```text\n{table}\n```\n\nMeasured on {where}.\n{END}"


def with_block(readme: str, block: str) -> str:
    """`readme` with the text between its marks replaced. Raises InputError where they are not."""
    begin, end = readme.find(BEGIN), readme.find(END)
    if begin < 0 or end < begin:
        raise InputError(f"the README has no lines {BEGIN} and {END} in this order")
    return readme[:begin] + block + readme[end + len(END) :]


@dataclass
class Readme:
    """Put a report's table into the README, between its marks."""

    report: Path = Path("results/tiny.json")
    """A report.json, as `python -m eval report` writes it."""
    readme: Path = Path("README.md")
    """The file to change."""

    def run(self) -> dict[str, Any]:
        try:
            report = json.loads(self.report.read_bytes())
            text = self.readme.read_text(encoding="utf-8")
            block = measured_block(report)
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.report} is not a report.json: {error!r}") from error
        new = with_block(text, block)
        if new != text:
            write_text(self.readme, new)
        say(f"{self.readme}: {'changed' if new != text else 'up to date'}")
        return {"readme": str(self.readme), "changed": new != text}
