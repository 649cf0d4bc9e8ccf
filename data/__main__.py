"""`python -m data build | prompts`: source trees and datasets become byte shards, and prompts."""

import sys

from bytelm.toolkit import main
from data.build import Build
from data.prompts import Prompts

COMMANDS = {"build": Build, "prompts": Prompts}

if __name__ == "__main__":
    sys.exit(main("data", __doc__, COMMANDS))
