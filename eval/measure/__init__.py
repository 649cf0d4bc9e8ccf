"""Measurements: bits per byte, decoding and training speed, and other programs beside them."""
