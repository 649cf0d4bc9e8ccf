"""Gaps are filled with the bytes that head 1 alone would write, by every engine; the command."""

import dataclasses
from pathlib import Path

import pytest
import torch
from support import bytelm_command, one_line, random_model, save_model, small_config

import bytelm
from bytelm.alphabet import BYTES, EOD
from bytelm.base.errors import InputError
from bytelm.checkpoint import load_checkpoint, save_checkpoint
from bytelm.config import LAYERED_KINDS
from bytelm.decode.generate import generate, stream
from bytelm.decode.options import DecodeOptions, Engine, SamplingOptions
from bytelm.decode.prompts import Gap, Prompt, prompt_ids
from bytelm.model.model import Model

PROMPTS: list[Prompt] = [
    Gap(b"def add(a, b):\n    return ", b"\n\n\ndef sub"),
    b"def add(a, b):\n",
    Gap(b"", b"suffix alone"),
    Gap(b"prefix alone", b""),
    Gap(b"", b""),
    Gap(bytes(range(100)), bytes(range(255, 155, -1))),
]
GAP = Gap(b"a\xff = ", b"\x00\n")
ENGINES: tuple[Engine, ...] = ("native", "eager")


def by_hand(model: Model, prompt: Prompt, most: int) -> tuple[bytes, str]:
    """Head 1's likeliest byte or end, one after the other, each from the whole text."""
    ids, text = prompt_ids(prompt), bytearray()
    while len(text) < most and len(ids) < model.config.context:
        logits = model.logits(model(torch.tensor([ids])))[0, -1]
        best = max([*range(BYTES), EOD], key=lambda id: float(logits[id]))
        if best == EOD:
            return bytes(text), "end_of_document"
        text.append(best)
        ids.append(best)
    return bytes(text), "length"


@pytest.fixture(scope="module", params=["unembed", "causal"])
def model(request: pytest.FixtureRequest) -> Model:
    """A random model that sometimes ends a document."""
    layers = 10 if request.param in LAYERED_KINDS else 2
    model = random_model(small_config(layers=layers, head_kind=request.param), 4)
    with torch.no_grad():
        model.heads.unembedding(0)[EOD] *= 1.4
    return model


@pytest.mark.medium
@pytest.mark.parametrize("engine", ENGINES)
def test_drafts_change_no_byte_of_a_middle(model: Model, engine: Engine) -> None:
    expected = [by_hand(model, prompt, 40) for prompt in PROMPTS]
    assert {reason for _, reason in expected} == {"end_of_document", "length"}
    for k, batch in ((1, 1), (8, 1), (8, 4), (3, 6)):
        options = DecodeOptions(40, k, batch, engine=engine, gate=0.0)
        found = generate(model, PROMPTS, options)
        assert [(one.text, one.finish_reason) for one in found] == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_one_seed_gives_one_middle(model: Model, engine: Engine) -> None:
    sampling = SamplingOptions(temperature=1.0, seed=3)
    plain = DecodeOptions(20, 1, 1, sampling=sampling, engine=engine)
    expected = [one.text for one in generate(model, PROMPTS, plain)]
    drafted = dataclasses.replace(plain, heads=8, batch=3)
    assert [one.text for one in generate(model, PROMPTS, drafted)] == expected


def test_pieces_and_stops(model: Model) -> None:
    options = DecodeOptions(30, 8, 1)
    [whole] = generate(model, [PROMPTS[5]], options)
    assert b"".join(stream(model, PROMPTS[5], options)) == whole.text
    # A stop may begin in the prefix, but not in the suffix.
    first = whole.text[:1]
    for prompt, stop, left in (
        (PROMPTS[5], b"\x63" + first, b""),
        (PROMPTS[5], b"\x9c" + first, whole.text),
    ):
        spanning = dataclasses.replace(options, stops=(stop,), stops_span_prompt=True)
        assert generate(model, [prompt], spanning)[0].text == left


def test_a_gap_too_long_for_the_context_is_refused_here(model: Model) -> None:
    assert len(generate(model, [Gap(b"x" * 251, b"")], DecodeOptions(9))) == 1
    with pytest.raises(InputError, match="the prompt has 255 bytes"):
        generate(model, [Gap(b"x" * 200, b"y" * 52)], DecodeOptions(9))


# The command, and the method.


@pytest.fixture(scope="module")
def trained_so(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that says that it was trained with infilling."""
    folder, model = tmp_path_factory.mktemp("infilling"), random_model(small_config(), 4)
    save_checkpoint(folder, 1, model.config, model.state_dict(), {}, {}, 0.5)
    return folder


def files(folder: Path, gap: Gap) -> list[str]:
    (folder / "prefix").write_bytes(gap.prefix)
    (folder / "suffix").write_bytes(gap.suffix)
    return ["--prompt-file", str(folder / "prefix"), "--suffix-file", str(folder / "suffix")]


@pytest.mark.parametrize("gap", [GAP, Gap(b"", b""), Gap(b"", b"x"), Gap(b"x", b"")])
def test_the_middle_goes_to_stdout(
    trained_so: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], gap: Gap
) -> None:
    words = ["--checkpoint", str(trained_so), *files(tmp_path, gap), "--max-bytes", "30"]
    assert bytelm_command("generate", *words) == 0
    [expected] = generate(load_checkpoint(trained_so).model, [gap], DecodeOptions(30, 1))
    assert capsysbinary.readouterr().out == expected.text
    model = bytelm.load(trained_so)
    assert model.infilling == 0.5
    assert model.infill(gap.prefix, gap.suffix, max_bytes=30) == expected.text
    sampled = SamplingOptions(0.9, 50, 0.95, 7)
    options = DecodeOptions(30, 2, 1, (b"e",), sampling=sampled, engine="eager")
    [expected] = generate(model.module.model, [gap], options)
    assert expected.text == model.infill(
        gap.prefix, gap.suffix, max_bytes=30, stops=["e"], heads=2, temperature=0.9, top_k=50,
        top_p=0.95, seed=7, engine="eager",
    )  # fmt: skip


def test_what_does_not_fit_is_left_out_and_said(
    trained_so: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    gap = Gap(bytes(200), b"s" * 100)
    words = ["--checkpoint", str(trained_so), *files(tmp_path, gap), "--max-bytes", "20"]
    assert bytelm_command("generate", *words) == 0
    # Of 256 positions, BOS has one, the marks three, and the middle 20.
    kept = Gap(bytes(132), b"s" * 100)
    model = load_checkpoint(trained_so).model
    [expected] = generate(model, [kept], DecodeOptions(20, 1))
    said = capsysbinary.readouterr()
    assert said.out == expected.text
    words_said = "the first 68 bytes of the prefix and the last 0 of the suffix are left out"
    assert words_said in said.err.decode()
    assert bytelm.load(trained_so).infill(gap.prefix, gap.suffix, max_bytes=20) == expected.text
    assert words_said in capsysbinary.readouterr().err.decode()


def test_text_stands_for_its_bytes(trained_so: Path) -> None:
    model = bytelm.load(trained_so)
    assert model.infill("é", "ü", max_bytes=9) == model.infill(
        "é".encode(), "ü".encode(), max_bytes=9
    )
    with pytest.raises(InputError, match=r"^suffix must be bytes or str, not int"):
        model.infill("a", 5)  # type: ignore[arg-type]


def test_a_model_without_infilling_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "model", random_model(small_config()))
    words = ["--checkpoint", str(tmp_path / "model"), *files(tmp_path, GAP)]
    assert bytelm_command("generate", *words) == 2
    line = one_line(capsys.readouterr().err)
    assert "was trained without infilling, so it cannot fill a gap" in line
    assert "--train.infilling" in line
    with pytest.raises(InputError, match="was trained without infilling"):
        bytelm.load(tmp_path / "model").infill("a", "b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prompts", "x", "--suffix-file", "y"], "--suffix-file goes with --prompt-file"),
        (["--prompt-file", "-", "--suffix-file", "-"], "cannot both be standard input"),
        (["--prompt-file", "{}", "--suffix-file", "nowhere"], "--suffix-file nowhere: No such"),
    ],
)
def test_wrong_arguments(
    trained_so: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    (tmp_path / "p").write_bytes(b"x")
    words = [word.format(tmp_path / "p") for word in words]
    assert bytelm_command("generate", "--checkpoint", str(trained_so), *words) == 2
    assert message in one_line(capsys.readouterr().err)
