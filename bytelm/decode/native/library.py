"""The C++ decoder as Python calls it: its structs and its functions.

structs.h has the same structs and says what the fields are; that both agree is checked when C++ is
compiled. `bytelm.decode.native.pack` makes the tensors.

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

# structs.h's HeadChain.
HEAD_CHAINS = {"causal": 1, "anticausal": 2}


def address(tensor: Tensor) -> int:
    """Where the values of a contiguous tensor begin."""
    assert tensor.is_contiguous()
    return tensor.data_ptr()


def _counts(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in names.split()]


def _addresses(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in names.split()]


class Sizes(ctypes.Structure):
    """The model's and the batch's sizes."""

    _fields_: ClassVar = [
        *_counts("width padded_width head_size padded_head_size heads kv_heads hidden_panels"),
        *_counts("trunk_layers head_layers head_chain window"),
        *_counts("ngram_orders ngram_rows ngram_history"),
        *_counts("batch slots padded_slots k capacity prefill_chunk threads"),
        ("norm_eps", ctypes.c_float),
    ]


class LayerTensors(ctypes.Structure):
    """Addresses of one layer's weights and of its cache, which outlive the decoder."""

    _fields_: ClassVar = [
        *_addresses("attention_norm q kv out feed_forward_norm up down"),
        *_addresses("keys values"),
    ]


class ModelTensors(ctypes.Structure):
    """Addresses of the model's tensors, which outlive the decoder."""

    _fields_: ClassVar = [
        *_addresses("embedding ngram_tables ngram_multipliers cosines sines head_norm"),
        *_addresses("unembedding draft_unembeddings"),
        ("layers", ctypes.POINTER(LayerTensors)),
    ]


class Sampling(ctypes.Structure):
    """SamplingOptions."""

    _fields_: ClassVar = [
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("drawn_drafts", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
    ]

    @classmethod
    def of(cls, options: SamplingOptions) -> "Sampling":
        """The same options."""
        return cls(
            options.temperature, options.top_p, options.top_k, options.draft_rule == "sampled",
            options.seed,
        )  # fmt: skip


STRUCTS = (Sizes, LayerTensors, ModelTensors, Sampling)


def layer_array(layers: Sequence[dict[str, Tensor]]) -> "ctypes.Array[LayerTensors]":
    """The layers' addresses, by the fields of LayerTensors."""
    structs = [
        LayerTensors(**{name: address(tensor) for name, tensor in layer.items()})
        for layer in layers
    ]
    return (LayerTensors * len(structs))(*structs)


POINTER, COUNT, SECONDS = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double

# Of each function, what it returns and what follows the decoder.
FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "destroy": (None, ()),
    "set_sampling": (None, (POINTER,)),
    "set_gate": (None, (ctypes.c_float,)),
    "set_costs": (None, (POINTER, COUNT)),
    "admit": (None, (COUNT, POINTER, COUNT, COUNT, COUNT)),
    "release": (None, (COUNT,)),
    "run": (None, (COUNT, POINTER, POINTER)),
    "fed_counts": (None, (POINTER,)),
    "time_step": (SECONDS, (COUNT, COUNT, COUNT)),
    "logits_after": (None, (COUNT, POINTER)),
}

Argument = int | float | Tensor | ctypes.Structure | ctypes.Array[ctypes.c_double]


def decode_library() -> ctypes.CDLL:
    """decode.cpp, compiled. Raises NoCompilerError where it cannot be."""
    return library(SOURCE, structs=STRUCTS)


class NativeDecoder:
    """decoder.h's Decoder of one storage type. It ends with this object.

    `kind`: F32, BF16 or TiledBF16. `held`: tensors and arrays whose addresses `model` has.
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
        """Call one of FUNCTIONS; tensors, structs and arrays go as addresses. Seconds, or 0."""
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
