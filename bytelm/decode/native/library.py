"""The structs and functions of the C++ decoder, for calls from Python.

structs.h defines the same structs and documents their fields. The C++ compiler checks that both
definitions agree. `bytelm.decode.native.pack` makes the tensors.

Shapes: B batch row, S position in a row's text, V id, K head.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from bytelm.decode.options import SamplingOptions
from bytelm.native.build import library

SOURCE = Path(__file__).with_name("decode.cpp")

# The values of HeadChain in structs.h.
HEAD_CHAINS = {"causal": 1, "anticausal": 2}


def address(tensor: Tensor) -> int:
    """The address of a contiguous tensor's values."""
    assert tensor.is_contiguous()
    return tensor.data_ptr()


def _counts(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names.split()]


def _addresses(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in names.split()]


class Sizes(ctypes.Structure):
    """The sizes of the model and of the batch."""

    _fields_: ClassVar = [
        *_counts("width padded_width head_size padded_head_size heads kv_heads hidden_panels"),
        *_counts("trunk_layers head_layers head_chain"),
        *_counts("ngram_orders ngram_rows ngram_history"),
        *_counts("batch slots padded_slots k capacity prefill_chunk threads"),
        ("norm_eps", ctypes.c_float),
    ]


class LayerTensors(ctypes.Structure):
    """Addresses of one layer's weights and cache. The tensors must outlive the decoder."""

    _fields_: ClassVar = [
        *_addresses("attention_norm q kv out feed_forward_norm up down"),
        *_addresses("keys values"),
        *_counts("window"),
    ]


class ModelTensors(ctypes.Structure):
    """Addresses of the model's tensors. The tensors must outlive the decoder."""

    _fields_: ClassVar = [
        *_addresses("embedding ngram_tables ngram_multipliers cosines sines head_norm"),
        *_addresses("unembedding draft_unembeddings"),
        ("layers", ctypes.POINTER(LayerTensors)),
    ]


class Sampling(ctypes.Structure):
    """SamplingOptions, for C++."""

    _fields_: ClassVar = [
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("drawn_drafts", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
    ]

    @classmethod
    def of(cls, options: SamplingOptions) -> "Sampling":
        """Convert `options`."""
        return cls(
            options.temperature, options.top_p, options.top_k, options.draft_rule == "sampled",
            options.seed,
        )  # fmt: skip


STRUCTS = (Sizes, LayerTensors, ModelTensors, Sampling)


def layer_array(
    layers: Sequence[dict[str, Tensor]], windows: Sequence[int]
) -> "ctypes.Array[LayerTensors]":
    """Make an array of LayerTensors. `layers`: tensors by the names of its fields."""
    structs = [
        LayerTensors(**{name: address(tensor) for name, tensor in layer.items()}, window=window)
        for layer, window in zip(layers, windows, strict=True)
    ]
    return (LayerTensors * len(structs))(*structs)


POINTER, COUNT, SECONDS = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double

# For each function, its result and its arguments after the decoder.
FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "destroy": (None, ()),
    "set_sampling": (None, (POINTER,)),
    "set_gate": (None, (ctypes.c_float,)),
    "set_costs": (None, (POINTER, COUNT)),
    "admit": (None, (COUNT, POINTER, COUNT, COUNT, COUNT)),
    "release": (None, (COUNT,)),
    "prefill": (None, (COUNT, COUNT)),
    "run": (COUNT, (COUNT, POINTER, POINTER)),
    "fed_counts": (None, (POINTER,)),
    "time_step": (SECONDS, (COUNT, COUNT, COUNT)),
    "logits_after": (None, (COUNT, POINTER)),
}

Argument = int | float | Tensor | ctypes.Structure | ctypes.Array[ctypes.c_double]


def decode_library() -> ctypes.CDLL:
    """Compile and load decode.cpp. Raises NoCompilerError if that fails."""
    return library(SOURCE, structs=STRUCTS)


class NativeDecoder:
    """A C++ Decoder (decoder.h) of one storage type, which is destroyed with this object.

    `kind`: F32, BF16 or TiledBF16. `held`: the tensors and arrays whose addresses are in `model`;
    keeping them here keeps their memory alive.
    """

    def __init__(
        self, kind: str, sizes: Sizes, model: ModelTensors, held: Sequence[object]
    ) -> None:
        library = decode_library()
        self._held = held
        self._functions = {name: getattr(library, f"{name}_{kind}") for name in FUNCTIONS}
        for name, (result, arguments) in FUNCTIONS.items():
            self._functions[name].restype = result
            self._functions[name].argtypes = (POINTER, *arguments)
        create = getattr(library, f"create_{kind}")
        create.restype, create.argtypes = POINTER, (POINTER, POINTER)
        self._decoder: int = create(ctypes.addressof(sizes), ctypes.addressof(model))

    def call(self, name: str, *arguments: Argument) -> float:
        """Call a function of FUNCTIONS. Tensors, structs and arrays are passed by address.

        Returns the function's result, seconds or a count, or 0 if it has none.
        """
        result = self._functions[name](self._decoder, *map(_value, arguments))
        return 0.0 if result is None else float(result)

    def __del__(self) -> None:
        if hasattr(self, "_decoder"):
            self.call("destroy")


def _value(argument: Argument) -> int | float:
    if isinstance(argument, Tensor):
        return address(argument)
    if isinstance(argument, int | float):
        return argument
    return ctypes.addressof(argument)
