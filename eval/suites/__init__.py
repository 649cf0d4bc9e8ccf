"""Suites: problems, prompts and stops, and the completions that a checkpoint writes for them."""
