"""Completions, scores, speed, experiments and the report of it all: `python -m eval COMMAND`."""

from bytelm import leave, main
from eval.arithmetic import Arithmetic
from eval.bench import Bench
from eval.bits import Bits
from eval.complete import Complete
from eval.divergence import Divergence
from eval.grade import Grade
from eval.induction import Induction
from eval.peers import Peers
from eval.readme import Readme
from eval.report import Report
from eval.speed import Speed
from eval.step import Step
from eval.sweep import Sweep
from eval.training_time import TrainingTime

COMMANDS = {
    "complete": Complete,
    "grade": Grade,
    "bits": Bits,
    "speed": Speed,
    "bench": Bench,
    "step": Step,
    "sweep": Sweep,
    "training-time": TrainingTime,
    "peers": Peers,
    "divergence": Divergence,
    "induction": Induction,
    "arithmetic": Arithmetic,
    "report": Report,
    "readme": Readme,
}

if __name__ == "__main__":
    leave(main("eval", __doc__, COMMANDS))
