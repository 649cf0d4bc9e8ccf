"""`python -m data build | prompts`: source trees and datasets become byte shards, and prompts."""

import json
import signal
import sys
from collections.abc import Sequence

import tyro

from bytelm.shards import InputError
from data.build import Build
from data.prompts import Prompts


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print the figures as JSON. Returns 0, 1 (failed) or 2 (wrong input)."""
    # Like Ctrl-C: the shards that were being written are removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {"build": Build, "prompts": Prompts},
            prog="python -m data",
            description=__doc__,
            args=list(sys.argv[1:] if arguments is None else arguments),
            config=(tyro.conf.OmitArgPrefixes,),
        )
        figures = command.run()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(json.dumps(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
