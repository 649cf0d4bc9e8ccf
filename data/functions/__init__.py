"""Functions of real code whose docstrings show examples: problems first, and then documents."""
