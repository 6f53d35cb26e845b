"""The machine: device, precision, threads, seeds, environment variables, signals, clocks."""
