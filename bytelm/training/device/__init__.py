"""What a device does for training: compiled code, number types, FSDP2."""
