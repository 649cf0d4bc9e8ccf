"""Sampling, exact mode and compiled code on the engines: replayable, and the same whatever runs."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support import p_value, random_model, save_model, small_config
from torch._dynamo.utils import counters

from bytelm.alphabet import BOS, BYTES, EOD
from bytelm.base.errors import InputError
from bytelm.checkpoint import load_checkpoint
from bytelm.config import HEAD_KINDS, LAYERED_KINDS
from bytelm.decode.generate import generate
from bytelm.decode.options import DecodeOptions, Engine, SamplingOptions
from bytelm.decode.row import Row
from bytelm.decode.sampling import filtered
from bytelm.decode.step import sayable
from bytelm.model.model import Model

ENGINES: tuple[Engine, ...] = ("native", "eager")
ARGMAX = SamplingOptions(temperature=0.9, top_p=0.95, seed=3)
SAMPLED = replace(ARGMAX, draft_rule="sampled")


PROMPTS = [b"def add(a, b):\n", b"", b"import ", b"class Node:\n    def __init__(self"]


def texts(model: Model, options: DecodeOptions) -> list[bytes]:
    return [completion.text for completion in generate(model, PROMPTS, options)]


def rounded_apart(model: Model, seed: int) -> Model:
    """The model with each weight changed by some units in its last place."""
    generator = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.mul_(1 + 4 * torch.finfo(parameter.dtype).eps * noise)
    return other


@pytest.mark.medium
@pytest.mark.parametrize("engine", ENGINES)
def test_argmax_rule_one_seed_one_text_at_every_k_batch_and_gate(
    trained: Model, engine: Engine
) -> None:
    base = DecodeOptions(24, 1, 1, sampling=ARGMAX, samples=2, engine=engine)
    reference = texts(trained, base)
    assert len(reference) == 2 * len(PROMPTS)
    assert len(set(reference)) > 5
    for k, batch, gate in ((1, 16, 0.0), (8, 1, 0.0), (8, 16, None), (4, 5, 0.3)):
        assert texts(trained, replace(base, heads=k, batch=batch, gate=gate)) == reference
    other = replace(base, sampling=replace(ARGMAX, seed=4))
    assert texts(trained, other) != reference


@pytest.mark.medium
@pytest.mark.parametrize("engine", ENGINES)
def test_sampled_rule_one_seed_one_text_at_every_batch(trained: Model, engine: Engine) -> None:
    base = DecodeOptions(24, 8, 1, sampling=SAMPLED, samples=2, engine=engine)
    reference = texts(trained, base)
    assert texts(trained, replace(base, batch=16)) == reference
    assert texts(trained, replace(base, batch=3)) == reference
    # Without drafts there is one draw a byte under either rule.
    plain = replace(base, heads=1)
    assert texts(trained, plain) == texts(trained, replace(plain, sampling=ARGMAX))


@pytest.mark.medium
@pytest.mark.parametrize("rule", ["argmax", "sampled"])
@pytest.mark.parametrize(
    "limits",
    [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_p": 0.9},
        {"temperature": 1.5, "top_k": 5},
        {"temperature": 3.0, "top_k": 40, "top_p": 0.8, "seed": 2**64 - 1},
        {"temperature": 0.3, "top_p": 1e-9, "seed": 2**33},
    ],
    ids=str,
)
def test_the_engines_draw_the_same_bytes(trained: Model, rule: Any, limits: dict[str, Any]) -> None:
    """Drawn in C++ and in torch, with every draft fed: the same ids from the same randomness."""
    sampling = SamplingOptions(draft_rule=rule, **limits)
    base = DecodeOptions(40, 8, 4, sampling=sampling, gate=0.0, samples=2)
    # (The native engine feeds no draft past the length; a drawn one, not fed, is drawn anew.)
    native, eager = (
        [text[:32] for text in texts(trained, replace(base, engine=engine))] for engine in ENGINES
    )
    differing = [index for index, text in enumerate(native) if text != eager[index]]
    # Their sums round apart; where a draw hangs by that, rounding of any kind turns it.
    assert len(differing) <= 1
    if differing:
        others = [texts(rounded_apart(trained, seed), replace(base, engine="eager"))
                  for seed in range(12)]  # fmt: skip
        for index in differing:
            pairs = enumerate(zip(native[index], eager[index], strict=False))
            first = next((at for at, (one, other) in pairs if one != other), 31)
            assert native[index][: first + 1] in {other[index][: first + 1] for other in others}


@pytest.mark.medium
@pytest.mark.parametrize(("engine", "count"), [("native", 10_000), ("eager", 512)])
@pytest.mark.parametrize("rule", ["argmax", "sampled"])
@pytest.mark.parametrize("limits", [{"top_k": 2}, {"top_k": 4, "top_p": 0.9}], ids=str)
def test_three_bytes_are_drawn_from_head_1s_distribution(
    engine: Engine, count: int, rule: Any, limits: dict[str, Any]
) -> None:
    """A whole engine against the product of the model's own conditional probabilities."""
    model = random_model(small_config(layers=1, prediction_heads=3, window=0))
    options = SamplingOptions(temperature=0.5, seed=9, draft_rule=rule, **limits)
    paths = {b"": 1.0}
    for _ in range(3):
        paths = {
            path + bytes([byte]): share * p
            for path, share in paths.items()
            for byte, p in enumerate(next_bytes(model, path, options))
            if p > 0
        }
    found = generate(
        model, [b"x"], DecodeOptions(3, 3, 64, sampling=options, samples=count, engine=engine)
    )
    counts = torch.tensor([sum(c.text == path for c in found) for path in paths])
    assert int(counts.sum()) == count
    shares = torch.tensor(list(paths.values()), dtype=torch.float64)
    assert math.isclose(float(shares.sum()), 1)
    assert p_value(counts, shares) > 1e-4


def next_bytes(model: Model, path: bytes, options: SamplingOptions) -> list[float]:
    logits = model.logits(model(torch.tensor([[BOS, *b"x", *path]])))[0, -1]
    shares = filtered(logits + sayable(logits.device), options)
    assert float(shares[EOD]) == 0
    return shares[:BYTES].tolist()


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_exact_mode_is_the_same_at_every_k(run_folder: Path, dtype: torch.dtype) -> None:
    model = load_checkpoint(run_folder, dtype=dtype).model
    base = DecodeOptions(100, 1, 4, engine="eager", exact=True)
    reference = texts(model, base)
    for k in (2, 8):
        assert texts(model, replace(base, heads=k)) == reference


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampling", [SamplingOptions(), ARGMAX, SAMPLED], ids=lambda s: s.draft_rule
)
def test_compiled_steps_give_the_eager_ones_bytes(sampling: SamplingOptions) -> None:
    model = random_model(small_config(layers=1, prediction_heads=3))
    base = DecodeOptions(20, 3, 2, sampling=sampling, engine="eager")
    assert texts(model, replace(base, engine="compiled")) == texts(model, base)


@pytest.mark.slow
def test_one_compilation_serves_all_layers() -> None:
    """And all steppers of one shape; a test that counts graphs, since a GPU's minutes are few."""
    torch._dynamo.reset()
    counters.clear()
    model = random_model(small_config(layers=5, window=0))
    options = DecodeOptions(10, 1, 2, engine="compiled")
    first = texts(model, options)
    graphs = counters["stats"]["unique_graphs"]
    assert 0 < graphs < model.config.layers
    assert texts(model, options) == first
    assert counters["stats"]["unique_graphs"] == graphs


def test_compiling_that_fails_leaves_an_eager_step_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def call(*_: Any) -> None:
            raise RuntimeError("no compiler here\nmore")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    model = random_model(small_config(layers=1))
    base = DecodeOptions(20, 4, 2)
    found = texts(model, replace(base, engine="compiled"))
    assert "compiling failed: no compiler here" in capsys.readouterr().err
    assert found == texts(model, replace(base, engine="eager"))


def test_a_stop_across_the_prompts_end_counts_when_asked() -> None:
    shown: list[bytes] = []
    row = Row(0, 100, (b"\n\n",), lambda _, piece: shown.append(piece), before=b"abc\n")
    row.take(list(b"\nmore"))
    assert (bytes(row.text), row.finish_reason, shown) == (b"", "stop", [])
    row = Row(0, 100, (b"\n\n",), before=b"abc\n\n")
    row.take(list(b"more"))
    assert (bytes(row.text), row.finish_reason) == (b"more", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (DecodeOptions(samples=0), "samples must be"),
        (DecodeOptions(samples=2), "temperature"),
        (DecodeOptions(gate=1.0), "gate must be"),
        (DecodeOptions(engine="fast"), "engine must be"),  # type: ignore[arg-type]
        (DecodeOptions(sampling=SamplingOptions(-1.0)), "temperature"),
    ],
)
def test_options_that_cannot_be(trained: Model, options: DecodeOptions, words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate(trained, [b"x"], options)


@pytest.mark.medium
@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_all_heads_of_all_kinds_change_no_byte_and_survive_saving(
    kind: str, n: int, tmp_path: Path
) -> None:
    """Eager and native, all drafts fed, against plain decoding; and again from a checkpoint."""
    layers = 10 if kind in LAYERED_KINDS else 2
    config = small_config(layers=layers, head_kind=kind, prediction_heads=n)
    model = random_model(config, seed=n)
    prompts = [b"", b"def f(x):\n", bytes(range(200))]
    plain = [c.text for c in generate(model, prompts, DecodeOptions(50, 1, 3, engine="eager"))]
    save_model(tmp_path, model)
    loaded = load_checkpoint(tmp_path).model
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name]), name
    for engine in ENGINES:
        options = DecodeOptions(50, n, 2, engine=engine, gate=0.0)
        assert [c.text for c in generate(loaded, prompts, options)] == plain
