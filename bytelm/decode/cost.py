"""Measure the time of one decoding step, for any model and width, without decoding a text."""

import time

import torch

from bytelm.base.errors import InputError, option
from bytelm.config import load_preset, model_config
from bytelm.decode.generate import make_stepper
from bytelm.decode.native.stepper import NativeStepper
from bytelm.decode.options import DecodeOptions, Engine
from bytelm.decode.stepper import TorchStepper
from bytelm.model.model import SLACK, Model


def preset_model(preset: str, dtype: torch.dtype, device: str) -> Model:
    """A preset's model with random weights, created in `dtype` on `device`."""
    config = model_config(load_preset(preset)["model"], f"preset {preset}")
    with torch.device("meta"):
        model = Model(config)
    model = model.to(dtype).to_empty(device=device)
    model.build_constants()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    return model.requires_grad_(False).eval()


def step_costs(
    model: Model, batch: int, widths: list[int], position: int, rounds: int, engine: Engine = "auto"
) -> dict[int, float]:
    """Seconds of a decoding step, by width, with every row at `position`.

    Width 1 is plain decoding. Width w feeds w - 1 drafts and makes w - 1 new ones. The widths are
    measured in turns, and the shortest of `rounds` times counts. Raises InputError for a width that
    exceeds the model's heads, or a position outside the context.
    """
    n, longest = model.config.prediction_heads, model.config.context - 1
    for width in widths:
        if not 1 <= width <= n:
            raise InputError(
                f"{option('widths')}: {width} is not within 1 to {n}, the model's heads"
            )
    if not 0 <= position <= longest:
        raise InputError(
            f"{option('positions')}: {position} is not within the context, 0 to {longest}"
        )
    steppers = {
        width: make_stepper(
            model, batch, position + 2 * SLACK, DecodeOptions(1, width, batch, gate=0.0,
                                                             engine=engine)
        )
        for width in widths
    }  # fmt: skip
    best = dict.fromkeys(widths, float("inf"))
    for _ in range(rounds + 1):
        for width, stepper in steppers.items():
            best[width] = min(best[width], _once(stepper, position, width))
    return best


def _once(stepper: object, position: int, width: int) -> float:
    if isinstance(stepper, NativeStepper):
        return stepper.step_s(position, width, 1)
    assert isinstance(stepper, TorchStepper)
    state = stepper.state
    stepper.live = [True] * len(stepper.live)
    with torch.inference_mode():
        state.positions_B.fill_(position)
        state.limits_B.fill_(position + SLACK)
        state.done_B.fill_(False)
    _wait(stepper.device)
    begun = time.perf_counter()
    stepper.run(1)
    _wait(stepper.device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
