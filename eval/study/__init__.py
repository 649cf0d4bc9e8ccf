"""Studies: several models are trained alike, and compared."""
