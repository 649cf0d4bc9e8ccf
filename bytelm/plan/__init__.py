"""What training on many GPUs takes of memory, time and traffic, told before it begins."""
