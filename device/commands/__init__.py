"""The subcommands of zymkey-iot, one in each file: ``configure(parser)`` and ``run(arguments) -> exit code``."""
