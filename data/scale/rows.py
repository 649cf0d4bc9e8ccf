"""A reader of a dataset's files, which the tasks share out one by one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.dataset import Dataset
from data.scale.read import Listing, SharedReader
from data.walk import Found, below


class SharedDataset(Dataset):
    """The rows of one task's files. Each file is a part.

    Unlike of a whole dataset, that no row has the column is no error: other files may have it.
    """

    def __init__(
        self, path: Path, column: str, skip: Path | None = None, rank: int = 0, tasks: int = 1
    ) -> None:
        super().__init__(path, column, skip)
        self.rank, self.tasks, self.part = rank, tasks, 0
        self.listing = Listing()
        for name in self._names:
            self.listing.add(name.encode("utf-8", "surrogateescape"))
        if rank:
            # What is no file to read was seen by all tasks, and is left to the first.
            self.rejected.clear()
            self.rejected_bytes.clear()

    def files(self) -> Iterator[Found]:
        for part in range(self.rank, len(self._names), self.tasks):
            self.part = part
            yield from self._file(self._names[part])


class ReadRows(SharedReader):
    """Reads `column` of local parquet, JSON and csv files, as `data build --dataset` does.

    Tasks share out files, so that more tasks than files are of no use. `work`: see
    `data.scale.counts`. `out`: the shard folder, which is not read if it lies below `path`. Raises
    InputError, when it is run, if `path` has no such file.
    """

    name = "bytelm rows"

    def __init__(
        self,
        path: str | Path,
        work: str | Path,
        column: str = "content",
        out: str | Path | None = None,
    ) -> None:
        super().__init__(work)
        self.path, self.column = Path(path), column
        self.out = None if out is None else Path(out)

    def opened(self, rank: int, tasks: int) -> SharedDataset:
        skip = None if self.out is None else below(self.path, self.out)
        return SharedDataset(self.path, self.column, skip, rank, tasks)

    def about(self) -> dict[str, Any]:
        return {"source": {"dataset": str(self.path), "column": self.column}}
