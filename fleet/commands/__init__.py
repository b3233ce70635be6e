"""One command a file. Each has ``arguments(parser)`` and ``run(options)``, which returns the exit code."""
