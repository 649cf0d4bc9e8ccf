"""What a document goes through by itself, and what finds copies: each step is a file."""
