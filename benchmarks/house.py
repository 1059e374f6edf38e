"""The structure of the package in numbers, and how far a fit travels.

    python benchmarks/house.py [FOLDER]

A room is a file or a folder of bayespassk/; an arrow from one to another is an import, wherever in
a file; a room stands one floor above the highest that it imports; a circle is a set of files that
import each other. FOLDER is a checkout to look at, by default this one. Of this one it is also
counted how often the family of a fit is parsed by some verbs, and how often code compares a target.
"""

import ast
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TARGETS = {"benchmark", "population", "realised"}

type Graph = dict[str, set[str]]


def files_of(source: Path) -> dict[str, Path]:
    """Return the files of a package by the name of their module."""
    files = sorted(source.rglob("*.py"))
    names = (path.relative_to(source.parent).with_suffix("").parts for path in files)
    return {
        ".".join(parts).removesuffix(".__init__"): path
        for parts, path in zip(names, files, strict=True)
    }


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows_between_files(source: Path) -> Graph:
    """Return which modules each module imports; a face that only hands names on imports nothing."""
    files = files_of(source)

    def module(name: str) -> str | None:
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name or None

    graph: Graph = {}
    for name, path in files.items():
        found = {module(one) for one in imported(path)}
        graph[name] = {one for one in found if one is not None and one != name}
    return graph


def room(module: str) -> str:
    """Return the room of a module; that of the package itself is its face."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def arrows_between_rooms(source: Path) -> Graph:
    """Return which rooms each room imports."""
    graph: Graph = {}
    for name, others in arrows_between_files(source).items():
        mine = graph.setdefault(room(name), set())
        mine |= {room(other) for other in others} - {room(name)}
    return {
        one: {other for other in others if other != "__init__"} for one, others in graph.items()
    }


def circles(graph: Graph) -> list[list[str]]:
    """Return the sets of nodes that reach each other."""
    reach = {one: _reached(graph, one) for one in graph}
    found = {
        frozenset(other for other in reach[one] if one in reach.get(other, set())) | {one}
        for one in graph
        if one in reach[one]
    }
    return [sorted(one) for one in found]


def _reached(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(graph.get(one, ()))
    return seen


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of each room, from 1; rooms in a circle stand on one."""
    result = dict.fromkeys(graph, 1)
    for _ in graph:
        for one, others in graph.items():
            result[one] = max([result[one], *(result[other] + 1 for other in others)])
    return result


def compared_targets(source: Path) -> int:
    """Return how often code compares something with the name of a target."""
    number = 0
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                inside = [one for side in (node.left, *node.comparators) for one in ast.walk(side)]
                texts = {one.value for one in inside if isinstance(one, ast.Constant)}
                number += bool({one for one in texts if isinstance(one, str)} & TARGETS)
    return number


def parsed() -> dict[str, int]:
    """Return how often the family of a fit is parsed by some verbs: once is enough."""
    import bayespassk as bp
    from bayespassk.posterior import fitted

    counts = bp.thin(bp.load_example(), 20, random_seed=1)
    few = {"draws": 100, "chains": 2}  # how often is a matter of calls, not of draws
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False, **few)
    number, parse = 0, fitted.family_from_spec

    def counting(spec: object) -> object:
        nonlocal number
        number += 1
        return parse(spec)

    found = {}
    fitted.family_from_spec = counting
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbs = {
            "forecast": lambda: bp.forecast(fit, [10, 1000]),
            "sensitivity": lambda: bp.sensitivity(fit, [10, 1000]),
            "report": lambda: bp.report(fit, f"{folder}/report.html", k=[10, 1000]),
            "difference": lambda: bp.difference(fit, "large", "small", [10, 1000]),
            "budget_for": lambda: bp.budget_for(fit, 0.5),
        }
        for name, verb in verbs.items():
            number = 0
            verb()
            found[name] = number
    fitted.family_from_spec = parse
    return found


def main(arguments: list[str]) -> None:
    """Print the numbers."""
    folder = Path(arguments[0]).resolve() if arguments else HERE
    source = folder / "bayespassk"
    rooms, files = arrows_between_rooms(source), arrows_between_files(source)
    files.pop("bayespassk")
    heights = floors({one: others for one, others in rooms.items() if one != "__init__"})
    print(f"rooms: {len(heights)}, of {len(files)} files")
    print(f"floors: {max(heights.values())}")
    print(f"arrows: {sum(len(others) for one, others in rooms.items() if one in heights)}")
    inner = {one: {o for o in others if o != "bayespassk"} for one, others in files.items()}
    found = circles(inner)
    print(f"circles between files: {len(found)} {found or ''}")
    lines = [len(path.read_text().splitlines()) for path in source.rglob("*.py")]
    print(f"lines: {sum(lines):,}, the longest file {max(lines):,}")
    print(f"comparisons with the name of a target: {compared_targets(source)}")
    for number in range(max(heights.values()), 0, -1):
        here = sorted(one for one, height in heights.items() if height == number)
        print(f"  floor {number}: {', '.join(here)}")
    names = re.findall(r"\w+ as (\w+)", (source / "__init__.pyi").read_text())
    print(f"public names: {len(set(names))}")
    if folder == HERE:
        print(f"parsed: {parsed()}")


if __name__ == "__main__":
    main(sys.argv[1:])
