"""The commands of zymkey-fleet, one a file: ``configure(parser)`` and ``run(arguments) -> exit code``; or a group."""
