"""What packages import for things that the functions never do, or seldom: put off until it is done.

A cold start imports what botocore needs to write its documentation, and ``cryptography`` to read OpenSSH's keys. In the
bundle such an import stands in the functions that need it, so it costs nothing until then, and nothing is missing.

Only the copies in the bundle are changed. Their versions are pinned by hash, and an import that is not as it is written
here, whose name is used while its module is imported, or means something else anywhere in it, fails the build: after an
update, look at it again.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

# By module: which of its imports are put off, as they are written there.
IMPORTS = {
    "botocore/docs/__init__.py": ("botocore.docs.service",),
    "botocore/docs/docstring.py": (
        "botocore.docs.bcdoc.restdoc",
        "botocore.docs.method",
        "botocore.docs.paginator",
        "botocore.docs.waiter",
    ),
    "botocore/compat.py": ("dateutil.tz",),
    "botocore/credentials.py": ("dateutil.parser", "dateutil.tz"),
    "botocore/httpsession.py": ("concurrent.futures",),
    "botocore/paginate.py": ("jmespath",),
    "botocore/regions.py": ("jmespath",),
    "botocore/tokens.py": ("dateutil.parser", "dateutil.tz"),
    "botocore/utils.py": ("dateutil.parser", "dateutil.tz"),
    "botocore/waiter.py": ("jmespath",),
    "cryptography/hazmat/primitives/serialization/__init__.py": ("cryptography.hazmat.primitives.serialization.ssh",),
    "urllib3/http2/__init__.py": ("importlib.metadata",),
}
# Modules whose regular expressions are compiled at their first use. Those here read names of a text form (RFC 4514),
# which nobody does, and take as long as all the certificates' other code.
PATTERNS = ("cryptography/x509/name.py",)

_LATE = """
class _Late:
    def __init__(self, *arguments):
        self._arguments = arguments

    def __getattr__(self, name):
        return getattr(re.compile(*self._arguments), name)
"""


class DeferringError(Exception):
    """A module is not as it was when it was written down here."""


def defer(place: Path) -> None:
    """Change the modules of a bundle.

    Raises:
        DeferringError: a module is not there, or not as it is expected.
    """
    for name, imports in IMPORTS.items():
        _rewrite(place / name, deferred(_source(place / name), imports, module=name))
    for name in PATTERNS:
        _rewrite(place / name, with_late_patterns(_source(place / name), module=name))


def deferred(source: str, imports: tuple[str, ...], *, module: str) -> str:
    """The source with these imports where their names are used, and wherever they are asked for from outside."""
    tree = ast.parse(source)
    moved = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) if _imported(node) in imports]
    if {_imported(node) for node in moved} != set(imports):
        raise DeferringError(f"{module} does not import {', '.join(imports)} any more.")
    tree.body = [node for node in tree.body if node not in moved]
    bound = [_bound(alias) for node in moved for alias in node.names]
    by_name = {_bound(alias): node for node in moved for alias in node.names}
    again = sorted((set(_bindings(tree)) & set(by_name)) | {name for name in by_name if bound.count(name) > 1})
    if again:
        raise DeferringError(f"{module} binds {', '.join(again)} more than once.")
    early = {node.id for node in _outside_functions(tree) if isinstance(node, ast.Name)} & set(by_name)
    if early:
        raise DeferringError(f"{module} uses {', '.join(sorted(early))} while it is imported.")
    if any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        raise DeferringError(f"{module} has a __getattr__ of its own.")
    for function in _functions(tree):
        function.body = _with_imports(function.body, by_name)
    tree.body += ast.parse(_getattr(by_name)).body
    return _source_of(tree, module=module)


def with_late_patterns(source: str, *, module: str) -> str:
    """The source with every ``NAME = re.compile(…)`` compiled when it is first used."""
    tree = ast.parse(source)
    calls = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if ast.unparse(node.value.func) == "re.compile"
    ]
    if not calls:
        raise DeferringError(f"{module} has no regular expressions any more.")
    for call in calls:
        call.func = ast.Name("_Late", ast.Load())
    imported = next(index for index, node in enumerate(tree.body) if _imported(node) == "re")
    tree.body[imported + 1 : imported + 1] = ast.parse(_LATE).body
    return _source_of(tree, module=module)


def _getattr(by_name: dict[str, ast.Import | ast.ImportFrom]) -> str:
    """PEP 562: the names stay names of the module for whoever imports them from it."""
    cases = "".join(f"    if name == {name!r}:\n        {ast.unparse(node)}\n" for name, node in by_name.items())
    returns = cases.replace("\n    if", "\n        return locals()[name]\n    if") + "        return locals()[name]\n"
    return (
        f"def __getattr__(name):\n{returns}"
        "    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')\n"
    )


def _imported(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ImportFrom):
        return node.module if node.level == 0 else None
    return node.names[0].name if isinstance(node, ast.Import) and len(node.names) == 1 else None


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module and of its classes, and not those within them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        else:
            yield from _functions(child)


def _with_imports(statements: list[ast.stmt], by_name: dict[str, ast.Import | ast.ImportFrom]) -> list[ast.stmt]:
    """The statements, with an import before each that uses its name: a branch that is not taken imports nothing."""
    result: list[ast.stmt] = []
    for statement in statements:
        used: set[str] = set()
        blocks: list[ast.AST] = [statement]
        while blocks:
            block = blocks.pop()
            for field, value in ast.iter_fields(block):
                parts = value if isinstance(value, list) else [value]
                if parts and isinstance(parts[0], ast.stmt):
                    setattr(block, field, _with_imports(parts, by_name))
                elif parts and isinstance(parts[0], ast.ExceptHandler | ast.match_case):
                    blocks += parts
                else:
                    nodes = (node for part in parts if isinstance(part, ast.AST) for node in ast.walk(part))
                    used |= {node.id for node in nodes if isinstance(node, ast.Name)}
        result += dict.fromkeys(node for name, node in by_name.items() if name in used)
        result.append(statement)
    return result


def _bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that a module binds anywhere: such a one would be overwritten by an import in the same function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield _bound(node)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            yield node.name


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """What runs while the module is imported: everything but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, *child.args.defaults, *child.args.kw_defaults):
                if part is not None:
                    yield from ast.walk(part)
        else:
            yield from _outside_functions(child)


def _source_of(tree: ast.Module, *, module: str) -> str:
    source = ast.unparse(ast.fix_missing_locations(tree))
    if ast.dump(ast.parse(source)) != ast.dump(tree):
        raise DeferringError(f"This machine's Python cannot write {module} as it has read it.")
    return source


def _source(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise DeferringError(f"{path} is not there any more.") from None


def _rewrite(path: Path, source: str) -> None:
    """A new file: an installer may have linked the old one to its cache."""
    path.unlink()
    path.write_text(source + "\n")
