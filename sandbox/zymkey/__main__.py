"""python -m sandbox.zymkey build: compile the simulated Zymkey and install it for this interpreter."""

import argparse
import os
import sys

from sandbox.zymkey.build import CannotBuild, build


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.zymkey", description=__doc__)
    parser.add_argument("command", choices=["build"])
    parser.add_argument("--compiler", default=os.environ.get("CC", "gcc"), help="default: $CC, else gcc")
    arguments = parser.parse_args()
    try:
        built = build(compiler=arguments.compiler)
    except CannotBuild as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{built.library}\n{built.engines}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
