"""Large Language Monkeys: for each problem a list of whether each sample is correct."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bayespassk.errors import CountsError, OptionError
from bayespassk.logs.attempts import Outcome, Tally
from bayespassk.logs.files import opened, opened_parquet, records
from bayespassk.logs.peeking import JSON, Peek

__all__ = ["is_one", "read"]

KEYS = ("is_correct", "is_corrects")
INDEX = "orig_dset_idx"
FEW_ROWS = 16


def is_one(seen: Peek) -> bool:
    """Return whether a file holds a problem, or rows of them."""
    if seen.kind in JSON:
        return any(isinstance(seen.record.get(key), list) for key in KEYS)
    return seen.kind in ("yaml", "parquet") and bool(set(KEYS) & set(seen.names))


def read(path: Path, tally: Tally, *, columns: Mapping[str, str] | None = None) -> None:
    """Add the samples in a file to the tally.

    A problem is named by its file, or on the hub by `columns` or orig_dset_idx, or else by its
    place.
    """
    given = {} if columns is None else dict(columns)
    if set(given.values()) - {"problem"}:
        raise OptionError(
            f"columns must say which column names a problem, as in {{'id': 'problem'}}; got {given}"
        )
    name = next(iter(given), None)
    outcome = Outcome()
    for i, (where, named, correct) in enumerate(_problems(path, name)):
        if not isinstance(correct, list):
            raise CountsError(f"{where}: is_correct must be a list; got {str(correct)[:80]!r}")
        problem = i if named is None else named
        if not isinstance(problem, str | int):
            raise CountsError(f"{where}: the name of a problem must be text or a number")
        if tally.knows(problem):
            raise CountsError(
                f"{where}: each problem must occur once: {problem!r} is there again. What to do: "
                "remove one, or say which column names a problem, as in columns={'id': 'problem'}"
            )
        row = tally.row(problem)
        for j, one in enumerate(correct):
            tally.add_score(row, one, outcome, f"sample {j + 1:,} of problem {problem!r}")


def _problems(path: Path, name: str | None) -> Iterator[tuple[str, Any, Any]]:
    """Yield a place for messages, a name or None, and the list of each problem of a file."""
    with opened(path) as file:
        start = file.read(4)
    if start == b"PAR1":
        yield from _rows(path, name)
    elif path.suffix.lower() in (".yaml", ".yml"):
        yield str(path), path.stem, _yaml_list(path)
    else:
        for where, record in records(path):
            yield _row(record, name, f"{path}: {where}")


def _row(record: Mapping[str, Any], name: str | None, where: str) -> tuple[str, Any, Any]:
    keys = [key for key in KEYS if key in record]
    if len(keys) != 1:
        raise CountsError(f"{where}: must have one of {' and '.join(KEYS)}; has {len(keys)}")
    if name is not None and name not in record:
        raise CountsError(
            f"{where}: columns names {name!r}, which is not there; the names found are "
            f"{', '.join(repr(key) for key in record)}"
        )
    return where, record[name] if name is not None else record.get(INDEX), record[keys[0]]


def _rows(path: Path, name: str | None) -> Iterator[tuple[str, Any, Any]]:
    with opened_parquet(path) as file:
        wanted = [one for one in file.schema_arrow.names if one in (*KEYS, INDEX, name)]
        number = 0
        for batch in file.iter_batches(FEW_ROWS, columns=wanted):
            for record in batch.to_pylist():
                number += 1
                yield _row(record, name, f"{path}: row {number:,}")


def _yaml_list(path: Path) -> Any:
    """Return the list of booleans of a YAML mapping, building nothing else that is in it."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with opened(path) as file:
            return _list_in(_events(yaml.parse(file, Loader=loader)), path)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, CountsError):
            raise
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1:,}: " if mark else ""
        problem = getattr(error, "problem", None) or error
        raise CountsError(f"{path}: {place}not YAML: {problem}; is the file cut short?") from None


def _events(events: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the events of a document with the depth at which they are."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield depth, event
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1


def _list_in(events: Iterable[tuple[int, Any]], path: Path) -> Any:
    """Return the list of the key that says what is correct, at the top of a document."""
    import yaml

    found: dict[str, list[Any]] = {}
    keys: list[Any] = []
    at_key, inside, samples = True, "", 0
    for depth, event in events:
        if depth == 0 and not isinstance(event, yaml.MappingStartEvent | yaml.MappingEndEvent):
            raise CountsError(f"{path}: a problem must be a mapping with the key is_correct")
        if depth == 1 and isinstance(event, yaml.CollectionEndEvent):
            inside = ""
        elif depth == 1 and at_key:
            keys.append(getattr(event, "value", None))
            at_key = False
        elif depth == 1:
            at_key, inside = True, keys[-1]
            if inside in KEYS:
                found[inside] = _started(event, path, keys)
        elif inside in KEYS:
            found[inside].append(_yaml_bool(event, path, len(found[inside])))
        elif inside == "samples" and depth == 2 and isinstance(event, yaml.NodeEvent):
            samples += 1
    return _only(found, samples if "samples" in keys else None, path)


def _only(found: Mapping[str, list[Any]], samples: int | None, path: Path) -> list[Any]:
    """Return the only list, or raise an error if it is not that or not one of all samples."""
    if len(found) != 1:
        raise CountsError(
            f"{path}: a problem must have one of {' and '.join(KEYS)}; this has {len(found)}. Was "
            "it evaluated?"
        )
    (correct,) = found.values()
    if samples is not None and samples != len(correct):
        raise CountsError(
            f"{path}: each sample must be said to be correct or not: {samples:,} samples, and "
            f"{len(correct):,} in is_correct; is the file cut short?"
        )
    return correct


def _started(event: Any, path: Path, keys: list[Any]) -> list[Any]:
    """Return an empty list, or raise an error if an event does not begin one."""
    import yaml

    if keys.count(keys[-1]) > 1:
        raise CountsError(f"{path}: the key {keys[-1]!r} occurs twice")
    if not isinstance(event, yaml.SequenceStartEvent) or event.tag is not None:
        raise CountsError(f"{path}: {keys[-1]} must be a plain list")
    return []


def _yaml_bool(event: Any, path: Path, number: int) -> Any:
    import yaml

    if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
        meant = yaml.SafeLoader.bool_values.get(event.value.lower())
        if meant is not None:
            return meant
        if event.value in ("0", "1"):
            return int(event.value)
        if event.value in ("", "~", "null"):
            return None
    shown = getattr(event, "value", None) or type(event).__name__
    raise CountsError(
        f"{path}: is_correct must be a list of true and false; number {number + 1:,} is {shown!r}"
    )
