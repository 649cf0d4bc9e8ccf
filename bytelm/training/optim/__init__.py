"""Optimizers, the learning rate schedule, and the guard against bad steps."""
