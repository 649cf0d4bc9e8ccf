"""Export checkpoints for other engines, as a Llama in the formats that they read."""
