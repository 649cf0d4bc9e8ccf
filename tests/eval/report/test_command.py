from pathlib import Path

import pytest
from support import eval_command


@pytest.mark.medium
def test_terminal_and_json_line_say_the_same(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, figures, err = eval_command(capsys, "report", "--run", str(whole))
    assert status == 0
    assert figures["held_out_bpb"] == 2.0
    assert figures["k"] == 8
    assert figures["identical"] is True
    assert figures["humaneval_pass_at_1"] == 0.5
    assert "2.000 head 1" in err
    assert "pass@1 50.0 % of 2 problems (stop 2)" in err
    assert "1.0M parameters (and 17.0M in n-gram tables)" in err
