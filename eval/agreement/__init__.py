"""Our verdicts beside those of other graders, on the same programs."""
