"""Compiles the functions' code for Lambda. The functions' own Python runs it: ``python -I infra/compiler.py FOLDER``.

Prints the modules that are none in this version of Python, which a package may hold, and leaves them. Whatever else
goes wrong ends it with a traceback.
"""

import marshal
import py_compile
import sys
from pathlib import Path

# Where Lambda unpacks the folder, so that tracebacks name the files that are there.
_LAMBDAS_FOLDER = "/var/task"
# PEP 552: magic number, flags, hash of the source.
_HEADER_BYTES = 16


def compile_folder(folder: Path) -> None:
    """Add bytecode to a folder. It is "unchecked": by default Python compares bytecode with the time stamp of its
    source, which an upload does not keep.
    """
    for source in sorted(folder.rglob("*.py")):
        name = source.relative_to(folder).as_posix()
        try:
            compiled = py_compile.compile(
                str(source),
                dfile=f"{_LAMBDAS_FOLDER}/{name}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            if not isinstance(error.exc_value, SyntaxError):
                raise
            sys.stdout.write(f"{name}\n")
        else:
            code = Path(str(compiled)).read_bytes()[_HEADER_BYTES:]
            marshal.loads(code)  # noqa: S302  raises if the disk does not have the whole of what was just written


if __name__ == "__main__":
    compile_folder(Path(sys.argv[1]))
