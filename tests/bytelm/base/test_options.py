"""Options as fields: their ranges, one check for all, and each user's way of writing them."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import pytest

from bytelm.base.errors import InputError, option, options_written, setting
from bytelm.base.options import Range, check_options


@dataclass(frozen=True)
class Sample:
    count: Annotated[int, Range(1)] = 1
    share: Annotated[float, Range(0, 1)] = 0.5
    beta: Annotated[float, Range(0, 1, below=True)] = 0.9
    rate: Annotated[float, Range(0, above=True)] = 0.1
    gate: Annotated[float, Range(0, 1)] | None = None
    minutes: Annotated[float, Range(0, infinite=True)] = 1.0
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    orders: tuple[Annotated[int, Range(2, 16)], ...] = ()
    rule: Literal["stable", "cosine"] = "stable"
    masks: bool = False
    name: str = ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, "count must be at least 1, not 0"),
        ({"count": 2.0}, "count must be a whole number, not 2.0"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"share": 1.5}, "share must be 0 to 1, not 1.5"),
        ({"share": "x"}, "share must be a number, not 'x'"),
        ({"share": math.nan}, "share must be 0 to 1, not nan"),
        ({"beta": 1.0}, "beta must be at least 0 and below 1, not 1.0"),
        ({"rate": 0}, "rate must be above 0, not 0"),
        ({"rate": math.inf}, "rate must be a finite number, above 0, not inf"),
        ({"gate": 2}, "gate must be 0 to 1, not 2"),
        ({"minutes": -math.inf}, "minutes must be a finite number, at least 0, not -inf"),
        ({"seed": -1}, "seed must be 0 to 2\\^63 - 1, not -1"),
        ({"seed": 2**63}, "seed must be 0 to 2\\^63 - 1"),
        ({"orders": (3, 1)}, "orders must be 2 to 16, not 1"),
        ({"orders": 3}, "orders must be a list, not 3"),
        ({"rule": "steps"}, "rule must be one of stable, cosine, not 'steps'"),
        ({"masks": 1}, "masks must be true or false, not 1"),
        ({"name": 1}, "name must be a text, not 1"),
    ],
)
def test_values_that_do_not_fit(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=f"^train.{words}"):
        check_options(replace(Sample(), **changes), "train.")


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 10**400},
        {"share": 0},
        {"share": 1.0},
        {"beta": 0.0},
        {"rate": 1e38},
        {"gate": None},
        {"gate": 0.4},
        {"minutes": math.inf},
        {"seed": 2**63 - 1},
        {"orders": (2, 16)},
        {"rule": "cosine"},
    ],
)
def test_values_that_fit(changes: dict[str, Any]) -> None:
    check_options(replace(Sample(), **changes))


def test_each_user_reads_options_as_they_are_written() -> None:
    values = {"micro_batch": 3, "compile": False, "resume": True, "train.lr_schedule": "cosine"}

    def written() -> list[str]:
        return [option("model.kv_heads"), *(setting(*item) for item in values.items())]

    assert written() == [
        "model.kv_heads", "micro_batch=3", "compile=False", "resume=True",
        "train.lr_schedule='cosine'",
    ]  # fmt: skip
    with options_written("command line"):
        assert written() == [
            "--model.kv-heads", "--micro-batch 3", "--no-compile", "--resume",
            "--train.lr-schedule cosine",
        ]  # fmt: skip
        assert setting("train.document_masks", False) == "--train.no-document-masks"
        with options_written("file"):
            assert written() == [
                "model.kv_heads", "micro_batch = 3", "compile = false", "resume = true",
                'train.lr_schedule = "cosine"',
            ]  # fmt: skip
        assert option("top_p") == "--top-p"
    assert option("top_p") == "top_p"
