"""`python -m eval induction`: do more heads help a small model to learn induction?

Paper, section 4.1, figure 7 and appendix J: models learn from children's stories. They are measured
on the second part of random names that the story has mentioned before.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch

from bytelm.toolkit import BOS, PAD, Model, Positive, Range
from eval.study.experiment import Content, Experiment
from eval.study.markdown import page
from eval.study.plots import plot_induction
from eval.study.stories import PART, POSSIBLE, Names, Story, held_out_stories, make_story

PAPER = (
    "Models of 1M to 1B parameters were trained on children's stories. For the test, the names in "
    "100 held-out stories were replaced by random names of two tokens. With n = 2 rather than 1, "
    "models of up to 30M parameters predicted a name's second token at later mentions far better; "
    "from 100M on there was no difference (section 4.1). With data that makes induction necessary "
    "early in training, only the smallest models kept the advantage (appendix J)."
)
BATCH = 50


@dataclass
class Induction(Experiment):
    """Train models with different numbers of heads on stories; measure how they recall names."""

    out: Path = Path("runs/induction")
    """Folder for data, runs and results. Models that it already holds are not trained again."""
    names: tuple[Annotated[int, Range(0, POSSIBLE // 2)], ...] = (0,)
    """Number of different names in the training stories; each value makes a data set of its own. 0:
    every story has new names, so that only induction can predict them. Held-out stories always
    have names that no training story has."""
    stories: Positive = 200
    """Number of held-out stories to measure on."""

    @property
    def name(self) -> str:
        return "induction"

    @property
    def figures(self) -> tuple[str, ...]:
        return "second_part", "second_part_whole", "first_mention"

    @cached_property
    def _held_out(self) -> tuple[list[Story], frozenset[str]]:
        return held_out_stories(self.seed, self.stories)

    def datasets(self) -> list[str]:
        for size in self.names:
            Names(random.Random(0), size)
        return [f"names{size}" for size in self.names]

    def documents(self, data: str) -> Iterator[Content]:
        rng = random.Random(f"stories {self.seed} {data}")
        names = Names(rng, int(data.removeprefix("names")), self._held_out[1])
        while True:
            yield make_story(rng, names).text

    def held_out(self) -> list[Content]:
        return [story.text for story in self._held_out[0]]

    def about(self) -> dict[str, Any]:
        stories = self._held_out[0]
        counts = [mention.before > 0 for story in stories for mention in story.mentions]
        return {
            "stories": len(stories),
            "first_mentions": len(counts) - sum(counts),
            "later_mentions": sum(counts),
            "part_bytes": PART,
        }

    def measure(self, model: Model) -> dict[str, Any]:
        return asdict(recall(model, self._held_out[0]))

    def present(self, results: dict[str, Any], plot: Path) -> list[str]:
        plot_induction(results, plot)
        what = (
            f"Models are trained on {results['options']['bytes'] / 1e6:g} MB of generated stories. "
            "A name has two parts, each a consonant and a vowel, as in `Mibo`. The test is on "
            f"{results['stories']} held-out stories, whose names no training story has. It counts "
            "how often head 1's most likely byte is right in the second part of a name. At the "
            f"{results['later_mentions']} later mentions, the story has shown the name before. The "
            f"{results['first_mentions']} first mentions are a control: nothing predicts the name."
        )
        columns = {
            "second_part": "bytes of the second part, later mentions",
            "second_part_whole": "whole second part",
            "first_mention": "control: first mentions",
        }
        return page("Induction on names", PAPER, what, plot.name, results, columns)


@dataclass(frozen=True)
class Recall:
    """Shares (0 to 1) of bytes that head 1 predicts correctly, given the text before them."""

    second_part: float
    """Bytes of the second parts of names, at later mentions."""
    second_part_whole: float
    """Second parts at later mentions with all bytes right."""
    first_part: float
    """Bytes of the first parts of names, at later mentions."""
    first_mention: float
    """Bytes of the second parts of names, at first mentions: the control."""


@torch.no_grad()
def recall(model: Model, stories: Sequence[Story]) -> Recall:
    """Measure how well head 1 of a model predicts the names in `stories`."""
    right: dict[str, list[npt.NDArray[np.bool_]]] = {"first": [], "later": [], "first_part": []}
    for start in range(0, len(stories), BATCH):
        group = stories[start : start + BATCH]
        longest = max(len(story.text) for story in group)
        ids = np.full((len(group), 1 + longest), PAD, dtype=np.int64)
        ids[:, 0] = BOS
        for row, story in enumerate(group):
            ids[row, 1 : 1 + len(story.text)] = np.frombuffer(story.text, dtype=np.uint8)
        guesses_BT = model.logits(model(torch.from_numpy(ids[:, :-1]))).argmax(-1).numpy()
        hits = guesses_BT == ids[:, 1:]
        for row, story in enumerate(group):
            for mention in story.mentions:
                begin = mention.start + PART
                part = hits[row, begin : begin + PART]
                right["later" if mention.before else "first"].append(part)
                if mention.before:
                    right["first_part"].append(hits[row, mention.start : begin])
    later = np.stack(right["later"])
    return Recall(
        second_part=float(later.mean()),
        second_part_whole=float(later.all(1).mean()),
        first_part=float(np.stack(right["first_part"]).mean()),
        first_mention=float(np.stack(right["first"]).mean()),
    )
