"""Decoding: complete prompts by self-speculation, greedy or sampled."""
