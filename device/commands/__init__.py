"""The subcommands of zymkey-iot, one a file: `configure(parser)` and `run(arguments) -> exit code`."""
