"""What every room needs: errors, options, ranks, devices, cores, rates, and seals."""
