"""A curriculum: small functions, each with a description, examples and a solution that was run."""
