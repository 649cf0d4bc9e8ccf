"""Checkpoints for other engines: a model that is a Llama, in the formats that these read."""
