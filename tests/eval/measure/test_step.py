"""The cost of a step, beside the roofline."""

import pytest
from support import eval_command


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_step_costs_time_and_predicts(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    status, figures, _ = eval_command(
        capsys, "step", "--preset", "paper-1m", "--widths", "1", "8", "--batches", "2",
        "--positions", "100", "--acceptance", "1", "4", "--rounds", "2", "--engine", engine,
    )  # fmt: skip
    assert status == 0
    one, eight = figures["rows"]
    assert one["predicted_speedup"] == 1
    assert eight["predicted_speedup"] == pytest.approx(4 * one["step_s"] / eight["step_s"])
    assert eight["compute_s"] > 7 * one["compute_s"]
    assert 0 < one["roofline_s"] == max(one["memory_s"], one["compute_s"])


@pytest.mark.medium
@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--widths", "9"), "1 to 8"),
        (("--positions", "9000"), "--positions"),
        (("--rounds", "0"), "at least 1"),
        (("--acceptance", "1"), "--acceptance"),
    ],
)
def test_steps_that_cannot_be(
    capsys: pytest.CaptureFixture[str], option: tuple[str, ...], words: str
) -> None:
    status, _, err = eval_command(capsys, "step", "--preset", "paper-1m", *option)
    assert status == 2
    assert words in err
