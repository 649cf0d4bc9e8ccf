"""The decoder beside other programs that run the same weights: llama.cpp and transformers."""
