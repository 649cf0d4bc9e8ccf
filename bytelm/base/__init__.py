"""What all commands share: command line, errors, files, ranks, measured rates, sealed results."""
