"""Training that begins with a checkpoint: of its shape, and of the drafting heads alone."""

import json
from pathlib import Path

import pytest
import torch
from support import bytelm_command
from training import rows_of, train

from bytelm.checkpoint import load_checkpoint
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions


@pytest.fixture(scope="module")
def drafts(run_folder: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drafting heads of the session's model, trained a little further."""
    run = tmp_path_factory.mktemp("runs") / "drafts"
    assert bytelm_command(*train(shards, run, "--init", str(run_folder), "--drafts-only")) == 0
    return run


def test_drafts_only_leaves_the_trunk_and_head_1_bit_for_bit(
    run_folder: Path, drafts: Path
) -> None:
    before, after = load_checkpoint(run_folder).model, load_checkpoint(drafts).model
    own = {id(parameter) for parameter in before.heads.drafting_parameters()}
    assert own == {id(before.heads.unembedding(head)) for head in range(1, before.heads.n)}
    names = {name for name, parameter in before.named_parameters() if id(parameter) in own}
    for name, parameter in before.named_parameters():
        same = torch.equal(parameter, after.state_dict()[name])
        assert same == (name not in names), name


def test_the_text_stays_and_the_heads_learn(run_folder: Path, drafts: Path) -> None:
    prompts = [b"def f(x):\n    ", b"import ", b""]
    texts = [
        [c.text for c in generate(load_checkpoint(run).model, prompts, DecodeOptions(60, 8, 3))]
        for run in (run_folder, drafts)
    ]
    assert texts[0] == texts[1]
    before, after = (
        json.loads((run / "summary.json").read_text())["held_out_bpb"]
        for run in (run_folder, drafts)
    )
    assert after[0] == before[0]
    assert sum(after[1:]) < sum(before[1:])


@pytest.mark.medium
def test_a_whole_model_goes_on_from_the_checkpoint(
    run_folder: Path, shards: Path, tmp_path: Path
) -> None:
    assert (
        bytelm_command(
            *train(shards, tmp_path / "run", "--init", str(run_folder), "--bytes", "5000")
        )
        == 0
    )
    assert rows_of(tmp_path / "run")[0]["bpb"] < 5
    start = json.loads((tmp_path / "run/config.json").read_text())["start"]
    assert start["drafts_only"] is False
    assert start["init_sha256"] == load_checkpoint(run_folder).sha256


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--drafts-only"], "--drafts-only needs a trained model to begin with: --init DIR"),
        (["--init", "RUN", "--model.width", "32"], "has model.width = 64, the preset has 32"),
        (["--init", "nowhere"], "nowhere does not exist"),
        (["--drafts-only", "--model.prediction-heads", "1"], "has no drafts"),
    ],
)
def test_what_cannot_begin(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    more: list[str], words: str,
) -> None:  # fmt: skip
    more = [str(run_folder) if word == "RUN" else word for word in more]
    assert bytelm_command(*train(shards, tmp_path / "run", *more)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resuming_from_another_beginning_is_refused(
    drafts: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bytelm_command(*train(shards, drafts, "--resume")) == 2
    assert "was begun with start.drafts_only = True, not None" in capsys.readouterr().err
