"""`python -m bytelm train | plan | generate | export`."""

from bytelm.base.ranks import leave
from bytelm.commands.cli import main
from bytelm.decode.command import Generate
from bytelm.export.command import Export
from bytelm.plan.command import Plan
from bytelm.training.command import Train

COMMANDS = {"train": Train, "plan": Plan, "generate": Generate, "export": Export}

if __name__ == "__main__":
    leave(main("bytelm", __doc__, COMMANDS))
