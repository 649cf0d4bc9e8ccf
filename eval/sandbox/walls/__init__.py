"""Walls around a process: namespaces with a root of their own, Landlock, and system calls."""
