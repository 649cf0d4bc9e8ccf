"""Training on a device: compiled code, number types, FSDP2."""
