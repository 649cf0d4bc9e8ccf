"""Weights that are finite, but so large that logits are not: an error, and never a completion."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import bytelm_command, eval_command, one_line, random_model, save_model, small_config
from torch import Tensor

import bytelm
from bytelm.base.errors import InputError
from bytelm.config import HeadKind
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions, Engine, SamplingOptions
from bytelm.model.model import Model
from bytelm.scoring import score_documents

PROMPTS = [b"def add(a, b):\n", b"", b"import os\n" * 8]
ENGINES = ("native", "eager", pytest.param("compiled", marks=pytest.mark.slow))
SAMPLINGS = (
    SamplingOptions(),
    SamplingOptions(0.8, top_k=7, top_p=0.9, seed=1),
    SamplingOptions(0.8, seed=1, draft_rule="sampled"),
)
LARGE = 3e38


def enlarge(weight: Tensor, size: float = LARGE) -> None:
    weight.data = torch.where(weight < 0, -size, size).to(weight.dtype)


def large_unembedding(model: Model) -> None:
    enlarge(model.heads.unembedding(0))


def one_large_byte(model: Model) -> None:
    """One logit is infinite, the others are as they were."""
    model.heads.unembedding(0).data[ord("e")] = LARGE


def large_feed_forward(model: Model) -> None:
    enlarge(model.trunk()[0].feed_forward.up.weight, 1e30)


def large_embedding(model: Model) -> None:
    """The squares of the residual stream overflow, of which a norm would make zeros."""
    model.embedding.weight.data.mul_(1e25)


LARGE_PARTS = (large_unembedding, one_large_byte, large_feed_forward, large_embedding)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "argmax", "sampled"])
@pytest.mark.parametrize("spoil", LARGE_PARTS)
@pytest.mark.parametrize("k", [1, 4])
def test_no_engine_takes_such_logits_for_text(
    engine: Engine, sampling: SamplingOptions, spoil: Callable[[Model], None], k: int
) -> None:
    model = random_model(small_config(ngram_orders=(), ngram_rows=0))
    spoil(model)
    assert all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
    options = DecodeOptions(20, k, 2, sampling=sampling, engine=engine, gate=0.0)
    with pytest.raises(InputError) as caught:
        generate(model, PROMPTS, options)
    assert one_line(str(caught.value)).startswith(
        "this model: the logits of head 1 are not finite in float32"
    )


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("kind", ["linear", "block", "causal", "anticausal"])
def test_every_kind_of_heads_is_looked_at(engine: Engine, kind: HeadKind) -> None:
    model = random_model(small_config(layers=10, head_kind=kind))
    large_embedding(model)
    with pytest.raises(InputError, match="logits of head 1 are not finite"):
        generate(model, PROMPTS, DecodeOptions(20, engine=engine))


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("sampling", SAMPLINGS[:2], ids=["greedy", "argmax"])
def test_large_logits_that_are_finite_give_text(engine: Engine, sampling: SamplingOptions) -> None:
    model = random_model(small_config())
    model.heads.unembedding(0).mul_(1e30)
    options = DecodeOptions(20, 4, 2, sampling=sampling, engine=engine)
    plain = DecodeOptions(20, 1, 1, sampling=sampling, engine=engine)
    texts = [completion.text for completion in generate(model, PROMPTS, options)]
    assert texts == [completion.text for completion in generate(model, PROMPTS, plain)]
    assert all(len(text) == 20 or text for text in texts)


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("sampling", SAMPLINGS[:2], ids=["greedy", "argmax"])
@pytest.mark.parametrize("gate", [0.0, None])
def test_a_drafting_head_that_overflows_changes_no_byte(
    engine: Engine, sampling: SamplingOptions, gate: float | None
) -> None:
    model = random_model(small_config())
    plain = DecodeOptions(24, 1, 1, sampling=sampling, engine=engine)
    expected = [completion.text for completion in generate(model, PROMPTS, plain)]
    for head in (1, 3):
        enlarge(model.heads.unembedding(head))
    options = DecodeOptions(24, 8, 2, sampling=sampling, engine=engine, gate=gate)
    assert [completion.text for completion in generate(model, PROMPTS, options)] == expected


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["native", "eager"])
def test_sampled_drafts_of_a_head_that_overflows(engine: Engine) -> None:
    """It drafts nothing of use; the text is still drawn from head 1's distribution."""
    model = random_model(small_config())
    enlarge(model.heads.unembedding(2))
    options = DecodeOptions(24, 8, 3, sampling=SAMPLINGS[2], engine=engine, gate=0.0, samples=4)
    assert all(completion.text for completion in generate(model, PROMPTS, options))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose weights are finite."""
    model = random_model(small_config())
    large_unembedding(model)
    return save_model(tmp_path_factory.mktemp("spoilt"), model)


def test_python_raises(spoilt: Path) -> None:
    model = bytelm.load(spoilt)
    words = f"{spoilt}: the logits of head 1 are not finite"
    for call in (
        lambda: model.complete("def f"),
        lambda: list(model.stream("def f")),
        lambda: model.complete_many(["def f", "x"]),
        lambda: model.bits_per_byte("def f"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(words)


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_generate_writes_nothing(
    spoilt: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], engine: str
) -> None:
    prompts, out = tmp_path / "p.jsonl", tmp_path / "out.jsonl"
    prompts.write_text(json.dumps({"id": 1, "prompt": "def f"}))
    base = ["generate", "--checkpoint", str(spoilt), "--engine", engine]
    for words in (["--prompts", str(prompts), "--out", str(out)], ["--prompt-file", str(prompts)]):
        assert bytelm_command(*base, *words) == 2
        said = capfdbinary.readouterr()
        assert said.out == b""
        line = said.err.decode().strip().splitlines()[-1]
        assert f"error: {spoilt}: the logits of head 1 are not finite in float32" in line
        assert "Traceback" not in said.err.decode()
    assert not out.exists()


def test_eval_writes_nothing(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "text", tmp_path / "out.jsonl"
    text.write_bytes(b"def f(x):\n    return x\n")
    for words in (
        ["complete", "--suite", "micro", "--checkpoint", str(spoilt), "--out", str(out)],
        ["bits", str(text), "--checkpoint", str(spoilt), "--out", str(out), "--no-compressors"],
        ["speed", "--text", str(text), "--checkpoint", str(spoilt), "--prompts", "1",
         "--prompt-bytes", "8", "--out", str(out)],
    ):  # fmt: skip
        status, figures, err = eval_command(capsys, *words)
        assert (status, figures) == (2, {})
        assert f"error: {spoilt}: the logits of head 1 are not finite" in err
    assert not list(tmp_path.glob("out*"))


def test_a_score_names_the_head() -> None:
    model = random_model(small_config())
    enlarge(model.heads.unembedding(2))
    score = score_documents(model, [b"def f(x):\n"])
    with pytest.raises(InputError, match="the logits of head 3 are not finite"):
        score.check_finite(model)
