"""The grammar of meanings: sources, operations, steps, ends, and functions written by hand."""
