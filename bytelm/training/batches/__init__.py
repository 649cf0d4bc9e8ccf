"""Batches of training data from shards, and the held-out sample."""
