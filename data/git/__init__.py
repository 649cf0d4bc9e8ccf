"""A clone of git as a source: the files of a commit, read out of its objects."""
