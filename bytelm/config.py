"""The model's configuration, its checks, and the presets (TOML files in this package)."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from bytelm.base.errors import InputError, of_file, option
from bytelm.base.options import HeadCount, Range, check_names, check_options

PRESETS = Path(__file__).parent / "presets"
HeadKind = Literal["unembed", "linear", "block", "causal", "anticausal"]
HEAD_KINDS: tuple[HeadKind, ...] = get_args(HeadKind)
LAYERED_KINDS = ("block", "causal", "anticausal")
Size = Annotated[int, Range(1, most=2**20)]
"""A number of channels, layers or attention heads."""


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a model: all that is needed to rebuild one from a checkpoint.

    `layers` counts the layers of the trunk and of the prediction heads together. Models with the
    same `layers` and different n then have equally many parameters (paper, section 2). Heads of
    kind `block`, `causal` and `anticausal` use n of these layers, so the trunk has `layers - n`.
    Heads of the other kinds have no layers.

    Raises InputError for a value outside its range, or for sizes that do not fit each other.
    """

    width: Size
    """D: the size of the residual stream."""
    layers: Size
    """Transformer layers of the trunk and the prediction heads together."""
    attention_heads: Size
    """H: query heads; must divide width."""
    kv_heads: Size
    """G: key and value heads; must divide attention_heads."""
    hidden: Size
    """Inner size of the SwiGLU feed-forward layers."""
    context: Annotated[int, Range(1, most=2**30)]
    """Most positions of a text: begin of document, prompt and completion together."""
    window: Annotated[int, Range(0, most=2**30)] = 0
    """Each position attends to the last `window` positions, itself included; 0: to all."""
    short_window: Annotated[int, Range(0, most=2**30)] = 0
    """The window of all layers of the trunk but the last; 0: that of the others, `window`."""
    prediction_heads: HeadCount = 8
    """n: head i predicts the byte i positions ahead."""
    head_kind: HeadKind = "unembed"
    """What each head is: `unembed` (its own unembedding matrix), `linear` (a square matrix before
    a shared unembedding), `block` (a transformer layer, in parallel), `causal` or `anticausal`
    (a transformer layer, in series); see bytelm/model/head_kinds.py."""
    ngram_orders: tuple[Annotated[int, Range(2, 16)], ...] = ()
    """Lengths of the byte n-grams whose hashed embeddings are added to the byte's embedding."""
    ngram_rows: Annotated[int, Range(0, most=2**32)] = 0
    """Rows of each n-gram table; one table for each of ngram_orders."""
    rope_base: Annotated[float, Range(1, most=10**12)] = 10_000.0
    """Base of the rotary position embedding's wavelengths."""
    norm_eps: Annotated[float, Range(0, most=1)] = 1e-5
    """Epsilon of RMSNorm."""

    def __post_init__(self) -> None:
        check_options(self, "model.")
        width, heads, kv_heads, layers, window, short_window, orders, rows = (
            option(f"model.{name}")
            for name in (
                "width", "attention_heads", "kv_heads", "layers", "window", "short_window",
                "ngram_orders", "ngram_rows",
            )
        )  # fmt: skip
        _check(self.width % self.attention_heads == 0, f"{heads} must divide {width}")
        _check(self.attention_heads % self.kv_heads == 0, f"{kv_heads} must divide {heads}")
        _check(self.head_size % 2 == 0, f"{width} / {heads} must be even")
        _check(self.trunk_layers >= 1, f"{layers} must exceed the layers that the heads take")
        fits = not self.window or self.short_window <= self.window
        _check(fits, f"{short_window} must not exceed {window}")
        _check(bool(self.ngram_orders) == bool(self.ngram_rows), f"{orders} and {rows} go together")

    @property
    def head_size(self) -> int:
        """C: the size of one attention head."""
        return self.width // self.attention_heads

    @property
    def head_layers(self) -> int:
        """Transformer layers of all prediction heads together."""
        return self.prediction_heads if self.head_kind in LAYERED_KINDS else 0

    @property
    def trunk_layers(self) -> int:
        """Transformer layers of the trunk."""
        return self.layers - self.head_layers

    def window_of(self, layer: int) -> int:
        """The window of layer number `layer`, counted over the trunk's layers and the heads'."""
        short = self.short_window and layer < self.trunk_layers - 1
        return self.short_window if short else self.window

    @property
    def least_parameters(self) -> int:
        """The weights of the large matrices and tables: a lower bound of the parameters."""
        layer = 2 * self.width**2 + 3 * self.width * self.hidden
        return self.layers * layer + len(self.ngram_orders) * self.ngram_rows * self.width

    @property
    def next_byte_layers(self) -> int:
        """Transformer layers between a byte's embedding and head 1's prediction."""
        heads = {"block": 1, "causal": 1, "anticausal": self.prediction_heads}
        return self.trunk_layers + heads.get(self.head_kind, 0)

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as plain values for JSON."""
        return dataclasses.asdict(self)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(message)


def model_config(values: Mapping[str, Any], where: str) -> ModelConfig:
    """Make a ModelConfig from plain values (TOML, JSON).

    `where` names the source of the values in errors. Raises InputError for a wrong value, and for
    an option that is unknown or missing.
    """
    with of_file(where):
        check_names(values, ModelConfig, "model.")
        orders = values.get("ngram_orders", ())
        if isinstance(orders, list):
            values = {**values, "ngram_orders": tuple(orders)}
        return ModelConfig(**values)


def preset_names() -> list[str]:
    """The names of the presets in this package, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> dict[str, dict[str, Any]]:
    """Read the tables `model` and `train` of a preset.

    `name`: the name of a preset in this package, or the path of a .toml file. Raises InputError if
    there is no such preset, or if the file is not valid.
    """
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise InputError(
            f"there is no preset {name!r}; known: {', '.join(preset_names())}, or a .toml file"
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    for name, table in tables.items():
        if name in ("model", "train") and not isinstance(table, dict):
            raise InputError(f"{path}: {name} must be a table: [{name}]")
    unknown = sorted(set(tables) - {"model", "train"})
    if unknown or "model" not in tables:
        what = f"unknown table {unknown[0]!r}" if unknown else "no table [model]"
        raise InputError(f"{path}: {what}; a preset has [model] and may have [train]")
    return {"model": tables["model"], "train": tables.get("train", {})}
