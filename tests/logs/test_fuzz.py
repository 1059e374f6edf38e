"""Valid logs, changed at random in their structure and in their bytes: nothing but our errors.

What comes out is either counts or an `InputError`; never another exception, nor a warning.
"""

import contextlib
import copy
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import bayespassk as bp
import made_logs as made
from bayespassk.logs.reading import FORMATS
from made_logs import write

STRANGE = [
    None, True, False, 0, 1, -1, 2, 0.5, 1e308, -0.0, float("nan"), float("inf"), 2**53, 2**63, 2**64, 10**400,
    "", " ", "a", "C", "1", "NaN", "\x00", "\ud800", "é" * 50, "x" * 5000, "../..", "a\nb", "=1+1",
    [], {}, [[]], [None], {"": {}}, {"value": None}, {"value": {"a": 1}}, [True, False], [["pass", []]], "pass", "fail",
]  # fmt: skip

SETTINGS = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def places(value, path=()):
    """Return where the parts of a JSON value are."""
    found = [path]
    if isinstance(value, dict):
        for key, one in value.items():
            found += places(one, (*path, key))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            found += places(one, (*path, i))
    return found


def changed(value, rng):
    """Return a JSON value with a part replaced, removed, repeated, renamed or moved."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        where = rng.choice(places(value))
        if not where:
            continue
        holder = value
        for step in where[:-1]:
            holder = holder[step]
        key, kind = where[-1], rng.randrange(6)
        if kind <= 2:
            holder[key] = copy.deepcopy(rng.choice(STRANGE))
        elif kind == 3:
            del holder[key]
        elif kind == 4 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
        elif isinstance(holder, dict):
            holder[rng.choice(["", "id", "eval", "x", "\ud800", *holder])] = holder.pop(key)
    return value


def damaged(content, rng):
    """Return bytes of which some are changed, removed, repeated or added."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(content) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del content[at:]
        elif kind == 1 and at < len(content):
            content[at] = rng.choice([0, 0xFF, 0x22, 0x0A, 0x7B, 0x5D, rng.randrange(256)])
        elif kind == 2:
            del content[at : at + rng.randrange(1, 40)]
        elif kind == 3:
            content[at:at] = content[at : at + rng.randrange(1, 200)]
        else:
            content[at:at] = rng.choice(
                [b"\r\n", b'"', b"\xef\xbb\xbf", b"NaN", b"}{", b",,", b"\t", b"&a *a", b"!!x "]
            )
    return bytes(content)


OPTIONS = {
    "inspect": [{"scorer": "match"}, {"threshold": 0.5}, {"values": {"a": 1}}],
    "lm-eval": [{"filter": "none"}, {"metric": "exact_match"}, {"scorer": lambda *_: 1}],
    "evalplus": [{"tests": "base"}, {"tests": "plus"}],
    "best-of-n": [{"batch": 2}, {"stopping": "adaptive"}],
    "livecodebench": [{"covariates": ["difficulty"]}],
    "monkeys": [{"columns": {"question": "problem"}}],
    "json": [
        {"columns": {"success": "attempts"}},
        {"columns": {"attempt": "success", "problem": "problem"}},
    ],
    "harbor": [{"scorer": "reward"}, {"threshold": 0.5}],
    "evalscope": [{"metric": "acc"}, {"threshold": 0.5}],
    "verl": [{"metric": "step"}, {"threshold": 0.5}],
    "csv": [{"columns": {"success": "attempts"}}, {"covariates": ["system"]}, {"threshold": 2}],
}


def survives(path, form, rng):
    """Read a file in the ways that a user may, and let only our errors pass."""
    more = rng.choice([{}, *OPTIONS.get(form, [])])
    for options in (more, {"format": form, "errors": rng.choice(["drop", "fail"]), **more}):
        with contextlib.suppress(bp.errors.InputError):
            counts = bp.read(path, **options)
            counts.sha256()
            repr(counts)
            counts.provenance.to_json()
    with contextlib.suppress(bp.errors.InputError):
        bp.read_attempts(path, form, errors="fail", **more)


@pytest.mark.parametrize("name", made.STRUCTURES)
def test_changed_structures(tmp_path, name):
    @SETTINGS
    @given(st.integers(0, 2**32))
    def check(seed):
        rng = random.Random(seed)  # noqa: S311
        value = changed(made.STRUCTURES[name](), rng)
        survives(write(tmp_path, "log", made.written(name, value)), made.format_of(name), rng)

    check()


def test_changed_structures_in_a_zip(tmp_path):
    @SETTINGS
    @given(st.integers(0, 2**32))
    def check(seed):
        rng = random.Random(seed)  # noqa: S311
        entries = made.inspect_entries()
        for name in rng.sample(list(entries), rng.choice([1, 1, 3])):
            kind = rng.randrange(4)
            if kind == 0:
                del entries[name]
            elif kind == 1:
                entries[name] = damaged(json.dumps(entries[name]).encode(), rng)
            else:
                entries[name] = changed(entries[name], rng)
        survives(write(tmp_path, "log.eval", made.zipped(entries)), "inspect", rng)

    check()


@pytest.mark.parametrize("name", made.logs())
def test_damaged_bytes(tmp_path, name):
    content, form = made.logs()[name], made.format_of(name)

    @SETTINGS
    @given(st.integers(0, 2**32))
    def check(seed):
        rng = random.Random(seed)  # noqa: S311
        survives(write(tmp_path, name, damaged(content, rng)), form, rng)

    check()


@SETTINGS
@given(st.binary(max_size=200), st.sampled_from(["auto", *FORMATS]))
def test_any_bytes(tmp_path_factory, content, form):
    path = write(tmp_path_factory.getbasetemp(), "any", content)
    with contextlib.suppress(bp.errors.InputError):
        bp.read(path, form)


@SETTINGS
@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name.strip() and "\x00" not in name),
        st.lists(st.booleans(), min_size=1, max_size=8),
        min_size=1,
        max_size=6,
    )
)
def test_outcomes_come_back_from_every_format(tmp_path_factory, outcomes):
    """Whatever the names, what is written as JSON lines or documents is what is read."""
    expected = {name: (len(some), sum(some)) for name, some in outcomes.items()}
    lines = [{"task_id": n, "passed": one} for n, some in outcomes.items() for one in some]
    document = {
        "eval": {
            n: [{"base_status": "pass" if o else "fail"} for o in some]
            for n, some in outcomes.items()
        }
    }
    questions = [{"question_id": n, "graded_list": some} for n, some in outcomes.items()]
    samples = [
        {"id": n, "epoch": i, "scores": {"s": {"value": one}}}
        for n, some in outcomes.items()
        for i, one in enumerate(some)
    ]
    inspect = {
        "version": 2,
        "status": "success",
        "eval": {"task": "t", "model": "m"},
        "samples": samples,
    }
    folder = tmp_path_factory.getbasetemp()
    for content in (
        made.jsonl(lines), json.dumps(document).encode(), json.dumps(questions).encode(), json.dumps(inspect, indent=2).encode()
    ):  # fmt: skip
        assert made.of(bp.read(write(folder, "log", content))) == expected
