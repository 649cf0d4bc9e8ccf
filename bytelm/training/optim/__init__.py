"""What changes the weights: optimizers, learning rates, and the guard against bad steps."""
