"""The audit of speculative decoding against plain decoding, and its verdict."""

from pathlib import Path
from typing import Any

import pytest
from support import eval_command

from bytelm.toolkit import generate
from eval.measure import divergence


def prompts_file(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text('{"prompt": "import os\\n"}\n{"prompt_base64": "ZGVmIA=="}\n')
    return path


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
def test_the_audit_finds_no_difference(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    status, figures, _ = eval_command(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts",
        str(prompts_file(tmp_path)), "--max-bytes", "40", "--dtype", "float32", "--engine", engine,
        "--heads", "8", "--batches", "1", "2",
    )  # fmt: skip
    assert status == 0
    assert figures["differences"] == 0
    assert figures["bytes_compared"] == sum(row["bytes"] for row in figures["rows"]) > 0


def test_the_audit_fails_on_a_difference_that_is_no_near_tie(
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(model: Any, prompts: list[bytes], options: Any) -> list[Any]:
        found = generate(model, prompts, options)
        if options.heads > 1:
            text = found[1].text
            # NUL is not in the training text, so the model is sure that it does not come here.
            changed = b"\0" + text[1:]
            found[1] = type(found[1])(changed, "length", 1, (len(text),))
        return found

    monkeypatch.setattr(divergence, "generate", wrong)
    status, figures, err = eval_command(
        capsys, "divergence", "--checkpoint", str(run_folder), "--prompts",
        str(prompts_file(tmp_path)), "--max-bytes", "20", "--heads", "4", "--batches", "2",
    )  # fmt: skip
    assert status == 1
    assert figures["near_ties_only"] is False
    assert figures["rows"][0]["differences"][0]["prompt"] == 1
    assert "no near-tie" in err
