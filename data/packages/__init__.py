"""Packages as a source: wheels, fetched and read, and their documents without copies."""
