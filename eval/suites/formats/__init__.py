"""Formats of published problems: a module for each, which turns rows of a file into problems."""
