"""The model's configuration, its checks, and the presets (TOML files beside this package)."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model. Everything that a checkpoint needs to be rebuilt.

    `layers` counts those of the trunk and of the prediction heads together, so that models of the
    same `layers` and different n compare at equal parameters (paper, section 2): `block`, `causal`
    and `anticausal` heads take n of them and leave the trunk `layers - n`; others have none.
    """

    width: int
    """D: the size of the residual stream."""
    layers: int
    """Transformer layers, those of the prediction heads included."""
    attention_heads: int
    """H: query heads."""
    kv_heads: int
    """G: key and value heads; divides attention_heads."""
    hidden: int
    """Inner size of the SwiGLU feed-forward layers."""
    context: int
    """Positions a cache holds: the longest prompt plus completion, begin of document included."""
    window: int = 0
    """Each position attends to the last `window` positions; 0: to all."""
    prediction_heads: int = 8
    """n: head i predicts the byte i places ahead."""
    head_kind: str = "unembed"
    """`unembed` (n unembedding matrices), `linear` (a matrix each), `block` (a transformer layer
    each, in parallel), `causal` or `anticausal` (in a row); see bytelm.model.head_kinds."""
    ngram_orders: tuple[int, ...] = ()
    """Lengths of the byte n-grams whose hashed embeddings are added to the byte's own."""
    ngram_rows: int = 0
    """Rows of each n-gram table."""
    rope_base: float = 10_000.0
    """Base of the rotary position embedding's wavelengths."""
    norm_eps: float = 1e-5
    """Epsilon of RMSNorm."""

    def __post_init__(self) -> None:
        sizes = ("width", "layers", "attention_heads", "kv_heads", "hidden", "context")
        for name in (*sizes, "prediction_heads", "window", "ngram_rows"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _check(whole, f"{name} must be a whole number, not {value!r}")
        for name in (*sizes, "prediction_heads"):
            _check(getattr(self, name) >= 1, f"{name} must be at least 1")
        _check(self.prediction_heads <= MOST_HEADS, f"prediction_heads: at most {MOST_HEADS}")
        _check(self.width % self.attention_heads == 0, "attention_heads must divide width")
        _check(self.attention_heads % self.kv_heads == 0, "kv_heads must divide attention_heads")
        _check(self.head_size % 2 == 0, "width / attention_heads must be even")
        _check(self.window >= 0, "window must be 0 (none) or more")
        _check(self.head_kind in HEAD_KINDS, f"head_kind must be one of {', '.join(HEAD_KINDS)}")
        _check(self.trunk_layers >= 1, "layers must exceed the layers that the heads take")
        _check(all(2 <= order <= 16 for order in self.ngram_orders), "ngram_orders: 2 to 16")
        _check(
            bool(self.ngram_orders) == bool(self.ngram_rows),
            "ngram_orders and ngram_rows go together",
        )

    @property
    def head_size(self) -> int:
        """C: the size of one attention head."""
        return self.width // self.attention_heads

    @property
    def head_layers(self) -> int:
        """Transformer layers inside the prediction heads, all together."""
        return self.prediction_heads if self.head_kind in LAYERED_KINDS else 0

    @property
    def trunk_layers(self) -> int:
        """Transformer layers of the trunk."""
        return self.layers - self.head_layers

    @property
    def next_byte_layers(self) -> int:
        """Transformer layers that the next byte's prediction goes through."""
        heads = {"block": 1, "causal": 1, "anticausal": self.prediction_heads}
        return self.trunk_layers + heads.get(self.head_kind, 0)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


LAYERED_KINDS = ("block", "causal", "anticausal")
HEAD_KINDS = ("unembed", "linear", *LAYERED_KINDS)
# The paper's largest n. Decoding may write so many drafts past the end of a text.
MOST_HEADS = 32


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise InputError(f"model configuration: {message}")


def model_config(values: dict[str, Any], where: str) -> ModelConfig:
    """A ModelConfig of plain values (TOML, JSON); `where` names their source in errors."""
    fields = {field.name: field for field in dataclasses.fields(ModelConfig)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(
            f"{where}: unknown model option {unknown[0]!r}; known: {', '.join(fields)}"
        )
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in values
    ]
    if missing:
        raise InputError(f"{where}: the model option {missing[0]!r} is missing")
    try:
        return ModelConfig(**{**values, "ngram_orders": tuple(values.get("ngram_orders", ()))})
    except TypeError as error:
        raise InputError(f"{where}: a model option has the wrong type ({error})") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> dict[str, dict[str, Any]]:
    """The tables `model` and `train` of a preset: a name, or the path of a TOML file."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise InputError(
            f"there is no preset {name!r}; known: {', '.join(preset_names())}, or a .toml file"
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    unknown = sorted(set(tables) - {"model", "train"})
    if unknown or "model" not in tables:
        what = f"unknown table {unknown[0]!r}" if unknown else "no table [model]"
        raise InputError(f"{path}: {what}; a preset has [model] and, if it likes, [train]")
    return {"model": tables["model"], "train": tables.get("train", {})}
