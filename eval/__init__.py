"""A checkpoint and problems become completions, verdicts, scores, speed and one report."""
