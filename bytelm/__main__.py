"""`python -m bytelm train | plan | generate | export`."""

from bytelm.command import main
from bytelm.decode.run import Generate
from bytelm.export.run import Export
from bytelm.plan.run import Plan
from bytelm.ranks import leave
from bytelm.train.run import Train

COMMANDS = {"train": Train, "plan": Plan, "generate": Generate, "export": Export}

if __name__ == "__main__":
    leave(main("bytelm", __doc__, COMMANDS))
