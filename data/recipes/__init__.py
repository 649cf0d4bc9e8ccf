"""Recipes: files that say which sources and steps training data is made of, and their reading."""
