"""The native step: the model's own logits, and the same bits at any width, batch and threads."""

import os
import platform
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import one_line, random_model, random_prompts, small_config
from torch import Tensor

from bytelm.alphabet import BOS
from bytelm.base.errors import InputError
from bytelm.config import HEAD_KINDS, LAYERED_KINDS
from bytelm.decode import generate as module
from bytelm.decode.generate import generate, make_stepper
from bytelm.decode.native.library import decode_library
from bytelm.decode.native.pack import packed, panels
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions
from bytelm.decode.stepper import TorchStepper
from bytelm.model.model import Model
from bytelm.native import build
from bytelm.native.sanitize import VARIABLE

CONFIGS: dict[str, dict[str, object]] = {
    "small": {},
    "full attention": {"window": 0},
    "short windows": {"layers": 3, "short_window": 10},
    "some short windows": {"layers": 11, "short_window": 20, "window": 0, "head_kind": "causal"},
    "odd sizes": {"width": 36, "attention_heads": 6, "kv_heads": 3, "hidden": 50},
    "linear": {"head_kind": "linear"},
    "block": {"layers": 10, "head_kind": "block"},
    "causal": {"layers": 10, "head_kind": "causal"},
    "anticausal": {"layers": 10, "head_kind": "anticausal"},
    "heads of 32": {"width": 64, "attention_heads": 2, "kv_heads": 1},
    "wide heads": {"width": 320, "attention_heads": 2, "kv_heads": 1},
    "no n-grams": {"ngram_orders": (), "ngram_rows": 0},
}


def in_dtype(model: Model, dtype: torch.dtype) -> Model:
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def native_logits(model: Model, ids: list[int], k: int = 1) -> tuple[Tensor, Tensor]:
    """Head 1's logits after all `ids`, and the drafting heads', by the native step."""
    stepper = NativeStepper(model, 2, 256, DecodeOptions(10, k, 2, gate=0.0))
    stepper.admit(1, ids, 250, 0)
    logits_KV = stepper.logits_after(1)
    return logits_KV[0], logits_KV[1:]


@pytest.mark.medium
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("length", [1, 2, 70, 150])
def test_logits_are_the_models(name: str, dtype: torch.dtype, length: int) -> None:
    """Against the model in float32 with the same (rounded) weights, drafting heads included."""
    model = in_dtype(random_model(small_config(**CONFIGS[name])), dtype)
    generator = torch.Generator().manual_seed(length)
    ids = [BOS, *torch.randint(0, 256, (length - 1,), generator=generator).tolist()]
    found, drafts = native_logits(model, ids, k=4)
    exact = in_dtype(model, torch.float32)
    output = exact(torch.tensor([ids]))
    expected = exact.logits(output)[0, -1]
    # Rounding to 8 bits at every product moves a random model's logits by some hundredths.
    near = 1e-5 if dtype == torch.float32 else 0.1
    assert (found - expected).norm() < near * expected.norm()
    for head in range(1, 4):
        wanted = exact.logits(output, head)[0, -1]
        assert (drafts[head - 1] - wanted).norm() < near * wanted.norm()


@pytest.mark.medium
@pytest.mark.parametrize("kind", HEAD_KINDS)
@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 240), min_size=1, max_size=6),
    k=st.integers(2, 8),
    batch=st.integers(1, 4),
    gate=st.sampled_from([None, 0.0, 0.3]),
    seed=st.integers(0, 50),
)
def test_bfloat16_is_the_same_at_every_width_and_batch(
    kind: str, lengths: list[int], k: int, batch: int, gate: float | None, seed: int
) -> None:
    config = small_config(layers=10 if kind in LAYERED_KINDS else 2, head_kind=kind)
    model = in_dtype(random_model(config, seed), torch.bfloat16)
    prompts = random_prompts(lengths, seed)
    plain = generate(model, prompts, DecodeOptions(50, 1, 1))
    found = generate(model, prompts, DecodeOptions(50, k, batch, gate=gate))
    assert [c.text for c in found] == [c.text for c in plain]
    assert [c.finish_reason for c in found] == [c.finish_reason for c in plain]


def test_any_number_of_threads_gives_the_same_bits() -> None:
    model = in_dtype(random_model(small_config()), torch.bfloat16)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            found.append(native_logits(model, [BOS, *range(100)], k=8))
        finally:
            torch.set_num_threads(1)
    for logits, drafts in found[1:]:
        assert torch.equal(logits, found[0][0])
        assert torch.equal(drafts, found[0][1])


@pytest.mark.medium
# With heads of 32 channels attention goes by tiles as well, where there are any.
@pytest.mark.parametrize("sizes", [{}, {"width": 64, "attention_heads": 2, "kv_heads": 1}], ids=str)
@pytest.mark.parametrize("window", [0, 200])
def test_long_rows_are_the_same_alone_and_among_others(window: int, sizes: dict[str, int]) -> None:
    """Alone, a row's chunks of the cache are shared by the threads; among others they are not.

    The rows differ in length by some chunks, and one ring turns.
    """
    config = small_config(context=1000, window=window, **sizes)
    model = in_dtype(random_model(config), torch.bfloat16)
    prompts = random_prompts((0, 127, 128, 300, 505, 700, 900, 33, 640, 257), 5)
    alone = [generate(model, [prompt], DecodeOptions(25, 1, 1))[0].text for prompt in prompts]
    for threads, pairs in ((1, [(8, 3), (3, 16)]), (2, [(1, 1), (8, 1), (8, 10)])):
        torch.set_num_threads(threads)
        try:
            for k, batch in pairs:
                found = generate(model, prompts, DecodeOptions(25, k, batch))
                assert [completion.text for completion in found] == alone
        finally:
            torch.set_num_threads(1)


def test_a_prompts_last_layer_is_left_out_only_where_nothing_reads_it() -> None:
    """A row in prefill beside one that decodes gives neither other bits."""
    model = random_model(small_config(window=0))
    ids = [BOS, *range(200)]
    alone = native_logits(model, ids, k=8)
    stepper = NativeStepper(model, 2, 256, DecodeOptions(10, 8, 2, gate=0.0))
    stepper.admit(0, [BOS, 65], 250, 0)
    stepper.admit(1, ids, 250, 0)
    logits_KV = stepper.logits_after(1)
    assert torch.equal(logits_KV[0], alone[0])
    assert torch.equal(logits_KV[1:], alone[1])


def test_panels_hold_the_matrix() -> None:
    matrix = torch.randn(70, 6)
    for dtype, pair in ((torch.float32, 1), (torch.bfloat16, 2)):
        found = panels(matrix, 8, dtype)
        assert found.shape == (2, 8 // pair, 64, pair)
        for n, i in ((0, 0), (63, 5), (64, 1), (69, 4)):
            assert found[n // 64, i // pair, n % 64, i % pair] == matrix[n, i].to(dtype)
        assert float(found.float().sum()) == pytest.approx(
            float(matrix.to(dtype).float().sum()), abs=1e-3
        )


def test_changed_weights_are_packed_again() -> None:
    model = random_model(small_config())
    before = packed(model)
    assert packed(model) is before
    with torch.no_grad():
        model.embedding.weight.add_(1)
    assert packed(model) is not before


@pytest.mark.medium
@pytest.mark.skipif(VARIABLE in os.environ, reason="a sanitizer keeps memory that was freed")
def test_memory_does_not_grow_with_steps() -> None:
    """10^5 ids through one row: the resident size at the end is that after the first tenth."""
    model = random_model(small_config(layers=1))
    stepper = NativeStepper(model, 1, 256, DecodeOptions(10, 2, 1, gate=0.0))

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    sizes = []
    for turn in range(500):
        stepper.admit(0, [BOS, turn % 256], 250, 0)
        stepper.run(200)
        if turn in (50, 499):
            sizes.append(resident())
    assert sizes[1] - sizes[0] < 2**20


def test_without_a_compiler_decoding_is_eager_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = random_model(small_config())
    expected = generate(model, [b"abc"], DecodeOptions(20, 4, 1))[0].text
    monkeypatch.setenv("CXX", str(tmp_path / "nothing"))
    monkeypatch.setattr(module, "_said", set())
    build.library.cache_clear()
    try:
        found = generate(model, [b"abc"], DecodeOptions(20, 4, 1))[0].text
        generate(model, [b"abc"], DecodeOptions(20, 4, 1))
        with pytest.raises(InputError, match="no C\\+\\+ compiler"):
            generate(model, [b"abc"], DecodeOptions(20, 4, 1, engine="native"))
    finally:
        build.library.cache_clear()
    said = one_line(capsys.readouterr().err)
    assert found == expected
    assert "decoding runs eager" in said
    assert "no C++ compiler" in said


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 compiler")
def test_a_smaller_processor_computes_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled for AVX2: other registers, other tiles, bfloat16 by shifts."""
    flags = tuple("-march=x86-64-v3" if f == "-march=native" else f for f in build.FLAGS)
    monkeypatch.setattr(build, "FLAGS", flags)
    build.library.cache_clear()
    try:
        for name in ("small", "full attention", "odd sizes"):
            for dtype in (torch.float32, torch.bfloat16):
                test_logits_are_the_models(name, dtype, 150)
        model = in_dtype(random_model(small_config()), torch.bfloat16)
        prompts = [bytes(range(length)) for length in (3, 130, 200)]
        plain = [c.text for c in generate(model, prompts, DecodeOptions(40, 1, 1))]
        found = [c.text for c in generate(model, prompts, DecodeOptions(40, 8, 3))]
        assert found == plain
    finally:
        build.library.cache_clear()


def engine_of(model: Model) -> str:
    return NativeStepper(model, 1, 64, DecodeOptions(5, 1))._kind


def test_tiles_and_vectors_compute_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are tiles, the tests above are of these; here is what all others run."""
    model = in_dtype(random_model(small_config()), torch.bfloat16)
    prompts = [bytes(range(length)) for length in (3, 130, 200)]
    has_tiles = bool(decode_library().amx())
    assert engine_of(model) == ("TiledBF16" if has_tiles else "BF16")
    native, _ = native_logits(model, [BOS, *range(150)])
    monkeypatch.setattr(NativeStepper, "_tiled", lambda *_: False)
    assert engine_of(model) == "BF16"
    vectors, _ = native_logits(model, [BOS, *range(150)])
    # Tiles round differently: equal bits would mean that they did not run.
    assert torch.equal(native, vectors) != has_tiles
    assert (native - vectors).norm() < 0.02 * vectors.norm()
    for name in ("small", "full attention", "heads of 32", "block", "causal"):
        test_logits_are_the_models(name, torch.bfloat16, 150)
    plain = [c.text for c in generate(model, prompts, DecodeOptions(40, 1, 1))]
    assert [c.text for c in generate(model, prompts, DecodeOptions(40, 8, 3))] == plain


def test_tiles_are_for_models_of_whole_tiles_in_bfloat16() -> None:
    """A row's bits must not depend on which of its products fit."""
    assert engine_of(random_model(small_config())) == "F32"
    for changes in (CONFIGS["odd sizes"], {"width": 48}):
        model = in_dtype(random_model(small_config(**changes)), torch.bfloat16)
        assert engine_of(model) == "BF16"


def test_the_engine_is_chosen() -> None:
    model = random_model(small_config())
    assert isinstance(make_stepper(model, 1, 100, DecodeOptions(5, 1)), NativeStepper)
    assert isinstance(
        make_stepper(model, 1, 100, DecodeOptions(5, 1, engine="eager")), TorchStepper
    )
