"""Files and streams: atomic writes, claims, journals, JSON lines, and the places of results."""
