"""`python -m bytelm train | generate | export`."""

import sys

from bytelm.command import main
from bytelm.decode.run import Generate
from bytelm.export.run import Export
from bytelm.train.run import Train

COMMANDS = {"train": Train, "generate": Generate, "export": Export}

if __name__ == "__main__":
    sys.exit(main("bytelm", __doc__, COMMANDS))
