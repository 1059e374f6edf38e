"""Names that are only in the paths of logs: of systems, benchmarks and runs."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from bayespassk.errors import InputError, OptionError

__all__ = ["names_from_paths"]

FIELDS = ("system", "benchmark", "run")
ENDS = re.compile(r"[/_.-]")


def names_from_paths(
    log: Path, files: Sequence[Path], pattern: str | None
) -> list[Mapping[str, str]]:
    """Return the names that the path of each file gives.

    Parameters
    ----------
    log : Path
        The folder of the files, or the only one of them.
    files : sequence of Path
    pattern : str, optional
        "path" is the path below the folder, without what is the same at the end of all. Or a
        pattern of the end of the path with fields, as "{system}/run-{run}/*.json", in which "*"
        stands for anything but "/".

    Raises
    ------
    OptionError
        If the pattern has other fields, or none.
    InputError
        If a path does not fit the pattern.
    """
    if pattern is None:
        return [{} for _ in files]
    if pattern == "path":
        return [{"system": name} for name in _unlike(log, files)]
    fields = re.findall(r"\{(\w*)\}", pattern)
    if not set(fields) <= set(FIELDS) or "system" not in fields or len(set(fields)) < len(fields):
        raise OptionError(
            "system_from must be 'path', or a pattern of the end of paths with {system}, and "
            f"{{benchmark}} or {{run}} if they are there, each once; got {pattern!r}"
        )
    parts = re.split(r"(\{\w+\}|\*)", pattern)
    text = "".join(
        "[^/]*" if one == "*" else f"(?P<{one[1:-1]}>[^/]+?)" if one[:1] == "{" else re.escape(one)
        for one in parts
    )
    found = [re.fullmatch(rf"(?:.*/)?{text}", path.absolute().as_posix()) for path in files]
    for path, match in zip(files, found, strict=True):
        if match is None:
            raise InputError(f"{path}: the path must fit system_from={pattern!r}")
    return [match.groupdict() for match in found if match is not None]


def _unlike(log: Path, files: Sequence[Path]) -> list[str]:
    """Return the paths of files without what all have at the end."""
    if len(files) == 1:
        return [files[0].name.partition(".")[0] or files[0].name]
    names = [path.relative_to(log).as_posix() for path in files]
    columns = zip(*(reversed(name) for name in names), strict=False)
    number = sum(1 for _ in takewhile(lambda signs: len(set(signs)) == 1, columns))
    same = names[0][len(names[0]) - number :]
    start = ENDS.search(same)
    cut = len(same) - start.start() if start else 0
    return [name[: len(name) - cut] for name in names]
