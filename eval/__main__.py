"""`python -m eval complete | grade | bits | speed | report | readme`."""

import sys

from bytelm import main
from eval.bits import Bits
from eval.complete import Complete
from eval.grade import Grade
from eval.readme import Readme
from eval.report import Report
from eval.speed import Speed

COMMANDS = {
    "complete": Complete,
    "grade": Grade,
    "bits": Bits,
    "speed": Speed,
    "report": Report,
    "readme": Readme,
}

if __name__ == "__main__":
    sys.exit(main("eval", __doc__, COMMANDS))
