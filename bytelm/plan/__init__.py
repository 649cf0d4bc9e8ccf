"""Estimate the memory, time and traffic of training on many GPUs, before it begins."""
