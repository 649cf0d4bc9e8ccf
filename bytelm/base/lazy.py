"""Lazy imports: a module's names are imported on first use."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def importer(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a `__getattr__` for `module` that imports names on first use.

    `homes`: for each public name, the module that defines it.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find
