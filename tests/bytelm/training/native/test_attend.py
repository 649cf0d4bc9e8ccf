"""The C++ attention against plain arithmetic in float64, and what training rests on."""

import math
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import one_line, random_model, small_config
from torch import Tensor

from bytelm.native import build
from bytelm.training.batches.packing import Batch
from bytelm.training.native import attend as module
from bytelm.training.native.attend import attend, native_attention
from bytelm.training.native.library import attention_library
from bytelm.training.objective import Objective

Inputs = tuple[Tensor, Tensor, Tensor]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


def plain(q: Tensor, k: Tensor, v: Tensor, first_BT: Tensor | None) -> Tensor:
    T, copies = q.shape[1], q.shape[2] // k.shape[2]
    scores = torch.einsum("bthc,bshc->bhts", q, k.repeat_interleave(copies, 2))
    at = torch.arange(T)
    seen = (at <= at[:, None])[None]
    if first_BT is not None:
        seen = seen & (at >= first_BT[:, :, None])
    weights = (scores / math.sqrt(q.shape[3])).masked_fill(~seen[:, None], -math.inf).softmax(-1)
    return torch.einsum("bhts,bshc->bthc", weights, v.repeat_interleave(copies, 2))


def inputs(
    B: int, T: int, H: int, G: int, C: int, dtype: torch.dtype, seed: int = 0
) -> tuple[Inputs, Tensor]:
    """q, k and v as a model has them, views of what it computes together; a gradient."""
    generator = torch.Generator().manual_seed(seed)
    qk = torch.randn(B, T, H + G, C, generator=generator).mul(1.5).to(dtype)
    qkv = torch.randn(B, T, H + 2 * G, C, generator=generator).to(dtype)
    dy = torch.randn(B, T, H, C, generator=generator).to(dtype)
    return (qk[:, :, :H], qk[:, :, H:], qkv[:, :, H + G :]), dy


def gradients(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], first_BT: Tensor | None, dy: Tensor
) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    y = function(*leaves, first_BT)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def check(tensors: Inputs, dy: Tensor, first_BT: Tensor | None) -> None:
    """The result and the gradients are near the plain ones by the norm of each row and head."""
    found = gradients(attend, tensors, first_BT, dy)
    wide = [tensor.double() for tensor in tensors]
    expected = gradients(plain, wide, first_BT, dy.double())
    for one, other, name in zip(found, expected, ("y", "dq", "dk", "dv"), strict=True):
        assert one.dtype == dy.dtype
        difference = (one.double() - other).norm(dim=(1, 3))
        # What cancels (with one key to see, all of dq) is what rounding leaves of its parts.
        scale = other.norm(dim=(1, 3)) + dy.double().norm(dim=(1, 3)).max()
        assert (difference <= TOLERANCE[dy.dtype] * scale).all(), name


def window(T: int, width: int) -> Tensor:
    return (torch.arange(T) - width + 1).clamp(min=0)[None]


SHAPES = {
    "one position": (1, 1, 1, 1, 2),
    "a block": (2, 64, 2, 2, 32),
    "grouped": (2, 130, 4, 2, 32),
    "odd channels": (1, 77, 2, 1, 20),
    "wide heads": (1, 70, 1, 1, 256),
    "three vectors": (1, 100, 3, 1, 48),
    "several chunks": (1, 2100, 2, 1, 16),
}


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", SHAPES)
def test_result_and_gradients_are_right(name: str, dtype: torch.dtype) -> None:
    check(*inputs(*SHAPES[name], dtype), None)


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 3, 64, 100, 512])
def test_windows(width: int, dtype: torch.dtype) -> None:
    check(*inputs(2, 1300, 2, 1, 32, dtype), window(1300, width))


@pytest.mark.medium
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shape_and_any_documents(data: st.DataObject) -> None:
    B, G, copies = (data.draw(st.integers(1, 3)) for _ in range(3))
    T, C = data.draw(st.integers(1, 200)), 2 * data.draw(st.integers(1, 40))
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    first_BT = None
    if data.draw(st.booleans()):
        rows = data.draw(st.sampled_from([1, B]))
        starts = [sorted(data.draw(st.lists(st.integers(1, T), max_size=4))) for _ in range(rows)]
        at = torch.arange(T)
        first_BT = torch.zeros(rows, T, dtype=torch.int64)
        for row, starts_of_row in enumerate(starts):
            for start in starts_of_row:
                first_BT[row] = torch.where(at >= start, start, first_BT[row])
    tensors, dy = inputs(B, T, G * copies, G, C, dtype, data.draw(st.integers(0, 99)))
    check(tensors, dy, first_BT)


def test_the_gradients_are_the_slopes() -> None:
    tensors, dy = inputs(1, 9, 2, 1, 4, torch.float32)
    _, *found = gradients(attend, tensors, window(9, 5), dy)
    step = 1e-2
    for tensor, gradient in zip(tensors, found, strict=True):
        for index in torch.randperm(tensor.numel())[:12]:
            at = tuple(int(i) for i in torch.unravel_index(index, tensor.shape))
            sums, value = [], float(tensor[at])
            for change in (step, -step):
                tensor[at] = value + change
                sums.append(float((attend(*tensors, window(9, 5)).double() * dy).sum()))
            tensor[at] = value
            assert abs((sums[0] - sums[1]) / (2 * step) - float(gradient[at])) < 2e-3


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("threads")
def test_the_bits_do_not_depend_on_the_threads(dtype: torch.dtype) -> None:
    """Of a group in several chunks of keys, and of many groups."""
    for B, T, H, G in ((1, 2500, 2, 1), (5, 300, 4, 2)):
        tensors, dy = inputs(B, T, H, G, 32, dtype)
        found = []
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            found.append(gradients(attend, tensors, window(T, 2000), dy))
        for others in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], others, strict=True))


def test_what_is_not_a_number_stays_that() -> None:
    """A run that diverges must not be hidden."""
    for index in range(3):
        tensors, _ = inputs(1, 200, 1, 1, 32, torch.bfloat16)
        tensors[index][0, 70, 0, 3] = math.nan
        assert attend(*tensors, None)[0, 70].isnan().any()


def test_large_scores_do_not_overflow() -> None:
    tensors, dy = inputs(1, 150, 2, 2, 32, torch.float32)
    tensors[0].mul_(60)
    found = gradients(attend, tensors, None, dy)
    expected = gradients(plain, [tensor.double() for tensor in tensors], None, dy.double())
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-3 * other.norm()


@pytest.mark.medium
def test_compiled_it_is_one_node_and_the_same_bits() -> None:
    def around(q: Tensor, k: Tensor, v: Tensor, first_BT: Tensor | None) -> Tensor:
        return attend(q * 2, k, v, first_BT).flatten(2) * 3

    tensors, dy = inputs(2, 90, 4, 2, 16, torch.bfloat16)
    compiled = torch.compile(around, backend="aot_eager", fullgraph=True, dynamic=False)
    for first_BT in (None, window(90, 30)):
        found = gradients(compiled, tensors, first_BT, dy.flatten(2))
        expected = gradients(around, tensors, first_BT, dy.flatten(2))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.medium
def test_the_operators_keep_torchs_contract() -> None:
    tensors, dy = inputs(2, 20, 2, 1, 8, torch.float32)
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    torch.library.opcheck(module._attend, (*leaves, window(20, 6)))
    with torch.no_grad():
        y, log_sums = module._attend(*tensors, None)
    torch.library.opcheck(module._attend_backward, (dy, *tensors, None, y, log_sums))


@pytest.mark.parametrize(
    "changes", [{}, {"window": 0}, {"short_window": 9}, {"head_kind": "block", "layers": 10}]
)
def test_a_model_learns_the_same_with_it(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.randint(0, 256, (2, 100))
    labels = torch.randint(0, 256, (8, 2, 100))
    found = []
    for serves in (True, False):
        model = random_model(small_config(**changes)).requires_grad_(True)
        if not serves:
            monkeypatch.setattr("bytelm.training.objective.native_attention", lambda *_: None)
        Objective(model, 0.3).backward(Batch(ids, labels))
        found.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in found[0].items():
        other = found[1][name]
        assert gradient is not None
        assert other is not None
        assert (gradient - other).norm() <= 1e-5 * gradient.norm(), name


def test_where_it_cannot_serve_it_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(module, "_said", set())
    build.library.cache_clear()
    try:
        model = random_model(small_config())
        assert native_attention(model) is None
        assert native_attention(model) is None
    finally:
        build.library.cache_clear()
    said = one_line(capsys.readouterr().err)
    assert "no C++ compiler (no-such-compiler) was found" in said


def test_wide_heads_and_other_types_are_left_to_torch() -> None:
    assert native_attention(random_model(small_config())) is attend
    wide = small_config(width=516, attention_heads=2, kv_heads=1)
    assert native_attention(random_model(wide)) is None
    assert native_attention(random_model(small_config()).double()) is None


def test_torchs_own_products_are_left_as_they_were() -> None:
    """Both may use the processor's tiles, whose shapes each has to set for itself."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(300, 300, generator=generator).bfloat16() for _ in range(2))
    tensors, dy = inputs(2, 300, 4, 2, 32, torch.bfloat16)
    product, result = a @ b, gradients(attend, tensors, None, dy)
    for _ in range(3):
        assert torch.equal(a @ b, product)
        again = gradients(attend, tensors, None, dy)
        assert all(torch.equal(one, other) for one, other in zip(again, result, strict=True))


# Later flags win.
SMALLER = {
    "AVX2": "-march=x86-64-v3",  # other registers, other tiles, bfloat16 by shifts
    "no AMX": "-mno-amx-tile",  # what most servers have
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 compiler")
@pytest.mark.parametrize("name", SMALLER)
def test_a_smaller_processor_computes_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "no AMX" and "amx_bf16" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        # What is built here anyway is without, and older compilers do not know the flag.
        pytest.skip("this processor has no AMX to go without")
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, SMALLER[name]))
    build.library.cache_clear()
    try:
        for dtype in (torch.float32, torch.bfloat16):
            for shape in SHAPES:
                test_result_and_gradients_are_right(shape, dtype)
            test_windows(100, dtype)
        test_what_is_not_a_number_stays_that()
        assert build.library.cache_info().currsize == 1
        attention_library()
        assert build.library.cache_info().currsize == 1
    finally:
        build.library.cache_clear()
