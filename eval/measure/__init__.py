"""Measurements: bits per byte, decoding and training speed, other engines."""
