"""Attention for training on CPUs in C++: forward and backward, blocked over queries and keys."""
