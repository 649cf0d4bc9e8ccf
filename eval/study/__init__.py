"""Studies: train several models in the same way and compare them."""
