"""The command line: parsing, errors in one line, exit statuses, and the script `bytelm`."""
