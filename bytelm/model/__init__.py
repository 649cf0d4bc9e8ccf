"""The model: a trunk of transformer layers and n prediction heads, with one forward path."""
