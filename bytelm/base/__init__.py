"""What every command stands on: command line, errors, files, ranks, rates and seals."""
