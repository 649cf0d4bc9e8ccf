"""Training: shards become checkpoints."""
