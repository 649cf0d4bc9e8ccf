"""Walls around model-written programs: backends, the walled-in interpreter, and its data."""
