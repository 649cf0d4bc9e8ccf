"""`python -m data build | prompts`: make byte shards of source files, and cut prompts from them."""

import sys

from bytelm.toolkit import main
from data.build import Build
from data.prompts import Prompts

COMMANDS = {"build": Build, "prompts": Prompts}

if __name__ == "__main__":
    sys.exit(main("data", __doc__, COMMANDS))
