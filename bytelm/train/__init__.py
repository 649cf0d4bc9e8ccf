"""Shards become a checkpoint."""
