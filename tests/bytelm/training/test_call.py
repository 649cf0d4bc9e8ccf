"""`bytelm.train`: the command's training, called from Python."""

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from training import newest

import bytelm
from bytelm import InputError, ModelConfig
from bytelm.training.options import resolve
from bytelm.training.run_options import RunOptions

MODEL = {"width": 64, "hidden": 128, "layers": 2, "ngram_rows": 2048, "window": 128}
LEARNING = {"block": 128, "batch": 4}


@pytest.mark.slow
def test_it_trains_what_the_command_trains(
    run_folder: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same weights, bit for bit."""
    run = tmp_path / "run"
    summary = bytelm.train(
        "tiny", data=str(shards), run=str(run), bytes=40_000, model=MODEL, train=LEARNING,
        compile=False, dtype="float32", eval_steps=40,
    )  # fmt: skip
    assert (summary.ended, summary.trained_now) == ("budget", True)
    assert (newest(run) / "model.safetensors").read_bytes() == (
        newest(run_folder) / "model.safetensors"
    ).read_bytes()
    assert capsys.readouterr().out == ""
    loaded = bytelm.load(summary.run)
    assert loaded.folder == run / summary.checkpoint
    assert loaded.step == summary.steps
    again = bytelm.train(
        data=shards, run=run, bytes=40_000, model=MODEL, train=LEARNING, resume=True, compile=False
    )
    assert replace(again, provenance={}, trained_now=True) == summary
    assert not again.trained_now


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the session is called with; nothing is trained."""
    from bytelm.training import session

    found: list[object] = []
    monkeypatch.setattr(session, "train_session", lambda *arguments: found.extend(arguments))
    return found


def test_options_may_be_a_dict_or_an_object(given: list[object], tmp_path: Path) -> None:
    config, learning = resolve("tiny", MODEL, LEARNING)
    for model in (MODEL, config):
        for train in (LEARNING, learning):
            given.clear()
            bytelm.train(data="shards", run=tmp_path / "run", model=model, train=train)
            assert given[:2] == [config, learning]


def test_equal_parameters(given: list[object], tmp_path: Path) -> None:
    bytelm.train("small", data="shards", run=tmp_path / "run", equal_parameters=True)
    config, _ = resolve("small")
    assert isinstance(given[0], ModelConfig)
    assert given[0].hidden < config.hidden


def test_it_can_be_called_whatever_was_imported_before() -> None:
    import bytelm.training.options

    parameters = inspect.signature(bytelm.train).parameters
    assert list(parameters)[:3] == ["preset", "data", "run"]


def test_it_has_the_options_of_a_run() -> None:
    """All of them, with their defaults, though they are written down twice."""
    parameters = inspect.signature(bytelm.train).parameters
    for field in fields(RunOptions):
        assert parameters[field.name].default == field.default, field.name


def test_each_option_reaches_the_run(given: list[object], tmp_path: Path) -> None:
    """No two are mixed up."""
    values: dict[str, Any] = {
        "init": Path("weights/small"), "drafts_only": True, "resume": True, "minutes": 7.0,
        "bytes": 11, "dtype": "bfloat16", "compile": False, "device": "cuda", "micro_batch": 2,
        "recompute": True, "tensorboard": True, "profile": True, "eval_steps": 3,
        "save_minutes": 5.0, "save_steps": 13, "keep": 17,
    }  # fmt: skip
    bytelm.train("small", data="shards", run=tmp_path / "run", **values)
    assert given[2:] == [Path("shards"), tmp_path / "run", RunOptions(**values), "small"]
    assert set(values) == {field.name for field in fields(RunOptions)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": {"widht": 64}}, "there is no option model.widht; did you mean model.width?"),
        ({"model": {"width": "x"}}, "model.width must be a whole number, not 'x'"),
        ({"model": "width=64"}, "model must be a dict of options or ModelConfig, not str"),
        ({"train": {"batch": -1}}, "train.batch must be at least 1, not -1"),
        ({"train": {"lr_shedule": "cosine"}}, "did you mean train.lr_schedule?"),
        ({"train": 3}, "train must be a dict of options or TrainOptions, not int"),
        ({"preset": "tinny"}, "there is no preset 'tinny'"),
        ({"preset": 3}, "preset must be a str or a Path, not int"),
        ({"data": "nowhere"}, "nowhere does not exist"),
        ({"data": None}, "data must be a str or a Path, not NoneType"),
        ({"run": 5}, "run must be a str or a Path, not int"),
        ({"bytes": -1}, "bytes must be above 0, not -1"),
        ({"minutes": 0}, "minutes must be above 0, not 0"),
        ({"init": "nowhere"}, "init nowhere does not exist"),
        ({"dtype": "float8"}, "dtype must be one of auto, float32, bfloat16, not 'float8'"),
        ({"device": "gpu"}, "device must be cpu, cuda or cuda:N, not 'gpu'"),
        ({"device": "cuda:99"}, "device='cuda:99': this machine has"),
        ({"micro_batch": 3}, "micro_batch=3 does not divide the 4 blocks"),
    ],
)
def test_errors_name_the_argument(
    shards: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    base: dict[str, Any] = {"data": shards, "run": tmp_path / "run", "bytes": 100}
    with pytest.raises(InputError) as caught:
        bytelm.train(**{**base, **options})
    assert words in str(caught.value)
    assert "--" not in str(caught.value).replace("--recipe", "").replace("--out", "")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_says_how_to_go_on(run_folder: Path, shards: Path) -> None:
    with pytest.raises(InputError, match="go on with resume=True, or choose another run"):
        bytelm.train(data=shards, run=run_folder, bytes=100, model=MODEL, train=LEARNING)


def test_the_presets_by_name() -> None:
    assert {"tiny", "small", "paper-1m"} <= set(bytelm.presets())
