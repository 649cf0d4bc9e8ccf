"""The face for researchers: its errors name arguments, and its signatures are typed."""

import inspect
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from support import ROOT, python

import bytelm
from bytelm import DecodeOptions, InputError, LanguageModel, SamplingOptions
from bytelm.model.head_logits import HeadLogits

WEIGHTS = ROOT / "weights" / "plain-5m-n4"


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return bytelm.load(WEIGHTS)


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("nowhere", {}, "nowhere does not exist; give a run folder or one of its checkpoints"),
        (ROOT / "docs", {}, "is not a checkpoint and holds none; train one"),
        (WEIGHTS / "config.json", {}, "config.json"),
        (7, {}, "path must be a str or a Path, not int"),
        (WEIGHTS, {"dtype": "float8"}, "dtype must be float32 or bfloat16, not 'float8'"),
        (WEIGHTS, {"dtype": torch.int8}, "dtype must be float32 or bfloat16, not 'torch.int8'"),
        (WEIGHTS, {"dtype": None}, "dtype must be"),
        (WEIGHTS, {"device": "gpu"}, "device must be cpu, cuda or cuda:N, not 'gpu'"),
        (WEIGHTS, {"device": "mps"}, "device must be cpu, cuda or cuda:N, not 'mps'"),
        (WEIGHTS, {"device": 1.5}, "device must be"),
        (WEIGHTS, {"device": "cuda:99"}, "device='cuda:99': this machine has"),
    ],
)
def test_what_cannot_be_loaded(path: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        bytelm.load(path, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_says_so(tmp_path: Path) -> None:
    copy = shutil.copytree(WEIGHTS, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes((WEIGHTS / "model.safetensors").read_bytes()[:99])
    with pytest.raises(InputError, match="is damaged: 99 bytes"):
        bytelm.load(copy)


Call = Callable[[LanguageModel], object]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.complete(7), "prompt must be bytes or str, not int"),
        (lambda m: m.complete([b"a"]), "prompt must be bytes or str, not list"),
        (lambda m: m.complete("\ud800"), "prompt cannot be written as UTF-8"),
        (lambda m: m.complete("a" * 2559), "the prompt has 2559 bytes; with room for one"),
        (lambda m: m.complete_many(["", "a" * 2559]), "prompt 1 (counted from 0) has 2559 bytes"),
        (lambda m: m.complete("", max_bytes=-5), "max_bytes must be at least 1, not -5"),
        (lambda m: m.complete("", max_bytes="9"), "max_bytes must be a whole number, not '9'"),
        (lambda m: m.complete("", heads=9),
         "heads=9: this model has 4 prediction heads, so heads must be 1 to 4"),
        (lambda m: m.complete("", heads=0), "heads must be 1 to 4"),
        (lambda m: m.complete("", temperature=-1), "temperature must be at least 0, not -1"),
        (lambda m: m.complete("", temperature=math.nan), "temperature must be"),
        (lambda m: m.complete("", top_k=2**63), "top_k must be 0 to 2^63 - 1"),
        (lambda m: m.complete("", top_p=0), "top_p must be above 0 and at most 1, not 0"),
        (lambda m: m.complete("", seed=2**64), "seed must be 0 to 2^64 - 1"),
        (lambda m: m.complete("", engine="gpu"), "engine must be one of auto, native, compiled"),
        (lambda m: m.complete("", gate=1), "gate must be at least 0 and below 1, not 1"),
        (lambda m: m.complete("", draft_rule="best"), "draft_rule must be one of argmax, sampled"),
        (lambda m: m.complete("", stops="\n"), "stops must be a list of texts, not one str"),
        (lambda m: m.complete("", stops=["a", 1]), "stops[1] must be bytes or str, not int"),
        (lambda m: m.complete("", stops=[""]), "stops: an empty stop"),
        (lambda m: m.complete_many("abc"), "for a single one write prompts=['abc']"),
        (lambda m: m.complete_many(b"abc"), "prompts must be a list of texts, not one bytes"),
        (lambda m: m.complete_many(5), "prompts must be a list of texts, not int"),
        (lambda m: m.complete_many([b"a", None]), "prompts[1] must be bytes or str, not NoneType"),
        (lambda m: m.complete_many([""], batch=0), "batch must be at least 1, not 0"),
        (lambda m: m.complete_many([""], samples=0), "samples must be at least 1, not 0"),
        (lambda m: m.complete_many([""], samples=3),
         "samples=3 at temperature=0 would be 3 times the same completion"),
        (lambda m: m.bits_per_byte(b""), "text is empty"),
        (lambda m: m.bits_per_byte([b"a"]), "text must be bytes or str, not list"),
        (lambda m: m.module([1, 2]), "ids_BT must be a tensor"),
        (lambda m: m.module(torch.zeros(3, dtype=torch.int64)), "not (3,) of int64"),
        (lambda m: m.module(torch.zeros(1, 3)), "not (1, 3) of float32"),
        (lambda m: m.module(torch.tensor([[1, 264]])), "ids_BT holds 1 to 264; ids are 0 to 263"),
        (lambda m: m.module(torch.zeros(1, 2561, dtype=torch.int64)), "context holds 2560"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(model: LanguageModel, call: Call, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(model)
    assert isinstance(caught.value, InputError)
    assert words in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_stream_refuses_at_the_call(model: LanguageModel) -> None:
    for options in ({"heads": 9}, {"max_bytes": 0}, {"stops": "a"}):
        with pytest.raises(InputError):
            model.stream(b"x", **options)
    with pytest.raises(InputError):
        model.stream("a" * 2559)


def test_the_three_ways_to_complete_have_the_same_options() -> None:
    found = {
        name: {
            key: (parameter.default, parameter.annotation)
            for key, parameter in inspect.signature(getattr(LanguageModel, name)).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        for name in ("complete", "stream", "complete_many")
    }
    assert found["complete"] == found["stream"]
    assert set(found["complete_many"]) - set(found["complete"]) == {"samples", "batch"}
    assert found["complete"].items() <= found["complete_many"].items()
    defaults = {
        field.name: field.default
        for kind in (DecodeOptions, SamplingOptions)
        for field in fields(kind)
    }
    for name, (default, _) in found["complete_many"].items():
        assert default == defaults[name], name


def test_no_public_signature_says_any() -> None:
    faces = [getattr(bytelm, name) for name in bytelm.__all__]
    functions = [face for face in faces if inspect.isfunction(face)]
    for kind in (*(face for face in faces if inspect.isclass(face)), HeadLogits):
        methods = [found for name, found in vars(kind).items() if not name.startswith("_")]
        functions += [found for found in methods if inspect.isfunction(found)]
    assert LanguageModel.complete in functions
    assert bytelm.load in functions
    for function in functions:
        signature = inspect.signature(function)
        assert signature.return_annotation is not signature.empty, function
        # What JSON holds has no type.
        if function.__name__ != "to_dict":
            assert "Any" not in str(signature), function


SCRIPT = """
import bytelm
from bytelm import Completion, LanguageModel, TrainingSummary

model: LanguageModel = bytelm.load("weights", device="cpu", dtype="bfloat16")
text: bytes = model.complete(b"def add(a, b):\\n", max_bytes=64, stops=["\\n\\n"])
for piece in model.stream("import os\\n", temperature=0.8, seed=1):
    text += piece
summary: TrainingSummary = bytelm.train(
    "tiny", data="data/shards/mine", run="runs/mine", bytes=20_000, model={"width": 64}
)
found: list[list[Completion]] = model.complete_many([b"a", "b"], samples=4, temperature=0.8)
bits: list[float] = model.bits_per_byte(text)
print(summary.run, bytelm.presets(), found[0][0].finish_reason, bits[0])
print(model.module(model.encode(text)).shape)
"""


@pytest.mark.slow
def test_a_script_that_uses_the_face_passes_mypy_strict(tmp_path: Path) -> None:
    wrong = SCRIPT.replace("max_bytes=64", 'max_bytes="64"').replace("list[float]", "list[str]")
    wrong = wrong.replace("bytes=20_000", "bites=20_000")
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(wrong)
    # Silent: of the package only the types count, as for one that is installed.
    command = ("-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir=cache")
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "timeout": 280}
    done = python(*command, "right.py", "wrong.py", **options)
    assert done.stdout.count("error:") == 3, done.stdout + done.stderr
    assert "right.py" not in done.stdout
    assert 'Unexpected keyword argument "bites" for "train"' in done.stdout
    assert 'Argument "max_bytes" to "complete"' in done.stdout


@pytest.mark.slow
def test_from_another_folder(tmp_path: Path) -> None:
    script = f"import bytelm; print(bytelm.load({str(WEIGHTS)!r}).complete(b'a', max_bytes=9))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = python("-c", script, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("b'")
