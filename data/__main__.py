"""`python -m data build | suite | functions | prompts`: shards, suites, problems, prompts."""

import sys

from bytelm.toolkit import main
from data.build import Build
from data.exercises.suite import Suite
from data.functions.command import Functions
from data.prompts import Prompts

COMMANDS = {"build": Build, "suite": Suite, "functions": Functions, "prompts": Prompts}

if __name__ == "__main__":
    sys.exit(main("data", __doc__, COMMANDS))
