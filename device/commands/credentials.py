"""Print AWS credentials of this device, as AWS's SDKs and command line read them from a credential_process.

Programs need no keys then: zymkey-iot config aws-cli prints what belongs into ~/.aws/config. The fleet has to allow it
(its setting credentials). The key in the HSM signs once; credentials are kept in memory, for this user alone, until
shortly before they expire.
"""

import argparse
from typing import TYPE_CHECKING

from . import options

if TYPE_CHECKING:
    from ..credential_cache import CredentialCache


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_key(parser)
    options.add_state(parser)
    options.add_credential_connection(parser)
    parser.add_argument("--fresh", action="store_true", help="ask AWS, whatever is kept")
    options.add_examples(
        parser,
        "sudo zymkey-iot credentials",
        "sudo mkdir -p /root/.aws",
        "sudo zymkey-iot config aws-cli | sudo tee -a /root/.aws/config",
        "sudo aws sts get-caller-identity --profile zymkey-iot",
    )


def run(arguments: argparse.Namespace) -> int:
    import json

    from ..credential_cache import CredentialCache

    options_given = {name: value for name, value in vars(arguments).items() if name != "fresh"}
    cache = CredentialCache(options_given)
    document = None if arguments.fresh else cache.find()
    if document is None:
        with cache.locked():
            # Another process may have asked in the meantime.
            document = None if arguments.fresh else cache.find()
            if document is None:
                document = _ask(arguments, cache)
    print(json.dumps(document))
    return 0


def _ask(arguments: argparse.Namespace, cache: "CredentialCache") -> "dict[str, object]":
    from ..credential_cache import stamps
    from ..credentials import files, get_credentials
    from ..settings import load
    from ..settings_files import FILES

    settings = load(arguments)
    used = stamps([*files(settings), *map(str, FILES)])
    credentials = get_credentials(settings)
    document = credentials.document()
    cache.keep(document, expires=credentials.expires, files=used)
    return document
