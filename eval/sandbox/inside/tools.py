"""What runs behind the walls for a program of another language: its compiler, and then itself.

    {"run": [[TOOL, ARGUMENT, ...], ...], "file": NAME, "source": TEXT, "libraries": FOLDER}
    {"ended": STATUS, "command": NUMBER}         of the first command that failed, or of the last

This process is the first one of the program's namespaces; all of them end with it.
"""

import os
import subprocess
from typing import Any

from eval.sandbox.talk.channel import Channel
from eval.sandbox.talk.peer import Peer

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # of the wall's own root
    "LANG": "C.UTF-8",
    "GOCACHE": "/tmp/.go",
    "GOFLAGS": "-mod=mod",
    "GO111MODULE": "off",
}


class Tools(Peer):
    """Runs commands when its judge asks for it."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._run = subprocess.run

    def serve(self) -> None:
        """Answer messages until the other side is gone. Raises ChannelClosedError."""
        while True:
            self.respond(self._channel.receive())

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        with open(message["file"], "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(message["source"])
        environment = {**_ENVIRONMENT, "LD_LIBRARY_PATH": message["libraries"]}
        for number, command in enumerate(message["run"]):
            # Nothing but the streams is inherited: not the channel.
            done = self._run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                return {"ended": done.returncode, "command": number}
        return {"ended": 0, "command": len(message["run"]) - 1}


def prepare() -> None:
    """What must be set before the process is walled in."""
    os.environ.update(_ENVIRONMENT)
