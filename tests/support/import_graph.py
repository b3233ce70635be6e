"""Which module imports which, read from the sources; and the circles in that."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Graph = Mapping[str, set[str]]


def import_graph(root: Path, packages: Sequence[str]) -> Graph:
    """The modules of ``packages``, folders in ``root``, by dotted name, and which of each other they import.

    Every import counts, wherever it stands: in a function, since a circle that is closed late is a circle; under
    ``TYPE_CHECKING``, since a reader follows it all the same; and by ``import_module(f"…{name}")``, which may import
    any module of that package. ``from package import module`` is an import of the module, and not of the package's
    ``__init__``: a package runs before its modules in any case.
    """
    modules = {
        module_name(path.relative_to(root)): path
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    }
    return {name: set(_imports(name, path, modules)) - {name} for name, path in modules.items()}


def module_name(path: Path) -> str:
    """The dotted name of a module, by its file's path from the root."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(graph: Graph) -> list[str]:
    """The shortest circle through each module that is in one, as ``a -> b -> a``."""
    found: dict[frozenset[str], str] = {}
    for start in sorted(graph):
        circle = _shortest_circle(graph, start)
        if circle:
            found.setdefault(frozenset(circle), " -> ".join([*circle, start]))
    return list(found.values())


def _imports(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield from (each for each in (module if module in modules else base,) if each in modules)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            prefix = _absolute(_constant_beginning(node.args[0]), package)
            yield from (each for each in modules if prefix and each.startswith(prefix))


def _absolute(name: str, package: str) -> str:
    """``name`` without its leading dots, which are counted from ``package``."""
    relative = name.lstrip(".")
    up = len(name) - len(relative)
    if up == 0:
        return name
    base = package.split(".")[: len(package.split(".")) - (up - 1)]
    return ".".join([*base, relative] if relative else base)


def _constant_beginning(name: ast.expr) -> str:
    """What is known of a module's name: ``.commands.`` of ``f".commands.{command}"``; empty when nothing is."""
    first = name.values[0] if isinstance(name, ast.JoinedStr) else name
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _shortest_circle(graph: Graph, start: str) -> list[str]:
    """The modules on the shortest way from ``start`` back to it; empty when there is none."""
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:
        for module in sorted(graph[way[-1]]):
            if module == start:
                return way
            if module not in seen:
                seen.add(module)
                ways.append([*way, module])
    return []
