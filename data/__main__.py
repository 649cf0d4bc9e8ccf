"""`python -m data build | suite | prompts`: shards of files or exercises, suites, prompts."""

import sys

from bytelm.toolkit import main
from data.build import Build
from data.exercises.suite import Suite
from data.prompts import Prompts

COMMANDS = {"build": Build, "suite": Suite, "prompts": Prompts}

if __name__ == "__main__":
    sys.exit(main("data", __doc__, COMMANDS))
