"""A checkpoint and prompts become completions: greedy self-speculation."""
