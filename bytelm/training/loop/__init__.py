"""The training loop: steps, metrics, checkpoints, signals."""
