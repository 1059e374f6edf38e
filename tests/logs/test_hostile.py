"""Files that are damaged, or made to do harm, are refused with an error that says where."""

import contextlib
import io
import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

import bayespassk as bp
import made_logs as made
from bayespassk.logs import documents, files
from bayespassk.logs.documents import Document
from bayespassk.logs.reading import FORMATS
from made_logs import of, write


def refused(path, message, error=bp.errors.CountsError, **options):
    with pytest.raises(error, match=f"(?s){message}") as caught:
        bp.read(path, **options)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xef\xbb\xbf \r\n"], ids=["nothing", "blank", "mark"]
)
@pytest.mark.parametrize("form", ["auto", *FORMATS])
def test_empty_files(tmp_path, content, form):
    refused(write(tmp_path, "log", content), "", format=form)


def test_files_that_cannot_be_opened(tmp_path):
    refused(tmp_path / "none", "cannot be read: No such file", bp.errors.InputError)
    os.mkfifo(tmp_path / "pipe.csv")
    refused(
        tmp_path, "the folder holds no log", bp.errors.InputError
    )  # and does not wait for the pipe


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF\xff\xfe\x00", b"hello", b"MZ\x90\x00", b"[1, 2]", b"{}", b"# a\n---\nb: 1\n"],
)
def test_what_is_no_log_is_not_taken_for_one(tmp_path, content):
    refused(
        write(tmp_path, "log", content), "no known format.*Name the format", bp.errors.InputError
    )


@pytest.mark.parametrize("name", made.logs())
def test_a_file_cut_short_is_never_an_empty_success(tmp_path, name):
    """Wherever it is cut, the log is refused, or what is read is a part of what was there."""
    content = made.logs()[name]
    whole = bp.read(write(tmp_path, name, content), **made.options_of(name))
    expected = of(whole)
    for end in range(0, len(content), max(1, len(content) // 60)):
        path = write(tmp_path, name, content[:end])
        with contextlib.suppress(bp.errors.InputError):
            counts = bp.read(path, made.format_of(name), **made.options_of(name))
            assert name.endswith((".csv", ".tsv", ".yaml", ".log")), "a cut inside would be seen"
            for problem, (n, c) in of(counts).items():
                if name not in ("csv.csv", "tsv.tsv"):  # whose last number may have been cut
                    assert n <= expected[problem][0]
                    assert c <= expected[problem][1]


def test_lines_that_are_cut_are_named(tmp_path):
    content = made.logs()["human-eval.log"]
    refused(
        write(tmp_path, "log", content[:-20]), r"line 12: not JSON: .*; is the file cut short\?"
    )
    refused(
        write(tmp_path, "log", json.dumps(made.evalplus(), indent=1).encode()[:900]),
        r"line \d+: not JSON: .*cut short",
        tests="base",
    )


# JSON ------------------------------------------------------------------------------------------


def test_keys_that_occur_twice(tmp_path):
    twice = b'{"task_id": "a", "passed": true, "passed": false}\n'
    refused(
        write(tmp_path, "log", twice), "line 1: the key 'passed' occurs twice", format="human-eval"
    )
    deep = made.written("inspect", made.inspect_json()).replace(
        b'"value": "C"', b'"value": "C", "value": "I"', 1
    )
    refused(write(tmp_path, "log", deep), "line 1: the key 'value' occurs twice")


def test_nan_in_what_is_not_read_is_no_matter(tmp_path):
    records = [one | {"loss": float("nan"), "limit": float("inf")} for one in made.human_eval()]
    assert of(bp.read(write(tmp_path, "log", made.jsonl(records)))) == made.COUNTS


BAD_JSON = {
    "deep": (b'{"task_id": ' + b"[" * 200_000, "nested too deeply|not JSON|a whole JSON object"),
    "long number": (b'{"task_id": "a", "passed": 1' + b"0" * 5000 + b"}", "digits"),
    "not utf-8": (b'{"task_id": "\xff", "passed": true}', "line 1: not text in UTF-8"),
    "utf-16": ('{"task_id": "a", "passed": true}'.encode("utf-16"), "not text in UTF-8"),
    "half a character": (b'{"task_id": "\\ud800", "passed": true}', "or halves of"),
    "nul": (b'{"task_id": "\\u0000", "passed": true}', "without NUL"),
    "a list": (b"[[]]\n", "record 1: each item of the array must be an object"),
    "a number": (b"1\n", "line 1: each line must be a JSON object"),
    "no outcome": (b'{"task_id": "a"}', "must have 'passed'"),
    "blank name": (b'{"task_id": " ", "passed": true}', "problem must not be missing"),
    "a word": (b'{"task_id": "a", "passed": "yes"}', "scores must be numbers"),
    "two": (b'{"task_id": "a", "passed": 2}', "scores must be 0 or 1"),
}


@pytest.mark.parametrize(("content", "message"), BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json(tmp_path, content, message):
    refused(write(tmp_path, "log", content), message, format="human-eval")


def npy(shape):
    """Return a file of NumPy that says it has this shape, and ends there."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def of_version(content, version):
    """Return a zip of which the first entry asks for another version to be read."""
    changed = bytearray(content)
    at = changed.index(b"PK\x01\x02") + 6
    changed[at : at + 2] = struct.pack("<H", version)
    return bytes(changed)


STRANGE = {
    "a shape without columns": (npy((10**12, 0)), "there must be at least one attempt"),
    "a zip of the future": (of_version(made.zipped(made.inspect_entries()), 255), "damaged or cut short: zip file version"),
    "attempts of 400 digits": (b"problem,attempts,successes\na,1" + b"0" * 400 + b",1\n", "must be at most 2.53"),
    "attempts of 400 digits in JSON": (b'[{"problem":"a","attempts":1' + b"0" * 400 + b',"successes":1}]', "must be at most 2.53"),
    "a number of an attempt": (b'{"i":0,"n":1099511627775,"flagged":true}', "how many attempts were made at a time"),
    "columns": (b"a," * 30_000 + b"\n1,2\n", "no more than 20,000 columns"),
    "a row": (b"problem,success\na," + b"0" * 2**25, "a row of more than 16,777,216 bytes"),
    "a header of millions": (made.zipped({"header.json": b'{"eval":{"x":[' + b"[]," * 2_000_000 + b"[]]}}"}), "more than 2,097,152 brackets and commas"),
    "a line of millions": (b'{"task_id":"a","passed":true,"x":[' + b"[]," * 2_000_000 + b"[]]}", "more than 2,097,152 brackets and commas"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), STRANGE.values(), ids=STRANGE)
def test_small_files_that_ask_for_much(tmp_path, content, message):
    refused(write(tmp_path, "log", content), message, errors="drop")


def test_names_of_entries_may_be_anything(tmp_path):
    entries = made.inspect_entries()
    for name in ("header.json", "summaries.json"):
        del entries[name]
    entries[f"_journal/summaries/{'1' * 5000}.json"] = [{"id": "z", "epoch": 1}]
    assert of(bp.read(write(tmp_path, "log", made.zipped(entries)))) == made.COUNTS


def test_what_is_passed_over_is_not_built(tmp_path):
    sample = (
        b'{"id":"p","epoch":1,"scores":{"s":{"value":"C"}},"messages":[' + b'[],"\\"]",' * 10**6
    )
    entries = {"header.json": {"eval": {"task": "t", "model": "m"}}, "samples/p_epoch_1.json": sample + b"1]}"}  # fmt: skip
    path = write(tmp_path, "log", made.zipped(entries))
    tracemalloc.start()
    counts = bp.read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert of(counts) == {"p": (1, 1)}
    assert most < 100e6
    entries["samples/p_epoch_1.json"] = sample
    refused(
        write(tmp_path, "log", made.zipped(entries)), "a value does not end; is the file cut short"
    )


def test_a_file_that_unpacks_to_far_more_than_a_log(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr(files, "FEW_BYTES", 100_000)
    content = b"problem,success\n" + b"a,1\n" * 100_000
    path = write(tmp_path, "x.csv.gz", gzip.compress(content))
    refused(path, "unpacks to more than 2?1?[0-9,]+ bytes, far more than a log of its size")
    entry = b"[" + b" " * 10**6 + b"]"
    path = write(
        tmp_path, "x.eval", made.zipped(made.inspect_entries() | {"summaries.json": entry})
    )
    refused(path, "summaries.json: unpacks to more than")


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 1000)
    refused(
        write(tmp_path, "log", b'{"a": "' + b"x" * 2000),
        "line 1: longer than 1,000 bytes",
        format="human-eval",
    )
    monkeypatch.setattr(documents, "LONGEST_VALUE", 100_000)
    big = made.inspect_json()
    big["samples"][3]["messages"] = "x" * 400_000
    refused(
        write(tmp_path, "log", made.written("inspect", big)),
        "a single value of more than 100,000 characters",
        format="inspect",
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(values, st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
@example(1234567, 2, None, True)
def test_a_document_is_read_as_it_is_whatever_its_parts(value, chunk, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    before, documents.AT_A_TIME = documents.AT_A_TIME, chunk
    try:
        assert whole(text) == value
        with pytest.raises(bp.errors.CountsError, match="more follows its end"):
            whole(text + " 1")
    finally:
        documents.AT_A_TIME = before


def whole(text):
    document = Document(io.StringIO(text), "x")
    found = parts_of(document)
    document.finish()
    return found


def parts_of(document):
    """Return a value, read member by member and item by item."""
    if document.peek() == "{":
        return {key: parts_of(document) for key in document.members()}
    if document.peek() == "[":
        return [parts_of(document) for _ in document.items()]
    return document.value()


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:01.eE+-truefalsn \n\\u', max_size=30), st.integers(1, 9))
def test_what_is_not_json_is_refused_as_python_does(text, chunk):
    before, documents.AT_A_TIME = documents.AT_A_TIME, chunk
    try:
        expected = json.loads(text, object_pairs_hook=documents._unique)
    except ValueError:
        with pytest.raises(bp.errors.CountsError, match="x: line"):
            whole(text)
    else:
        assert repr(whole(text)) == repr(expected)  # NaN is not equal to itself
    finally:
        documents.AT_A_TIME = before


# Zips ------------------------------------------------------------------------------------------


def test_an_entry_that_claims_ten_gigabytes(tmp_path):
    content = bytearray(made.zipped(made.inspect_entries(), zipfile.ZIP_STORED))
    directory = content.index(b"PK\x01\x02")
    while content[directory + 46 :].startswith(b"summaries.json") is False:
        directory = content.index(b"PK\x01\x02", directory + 4)
    struct.pack_into("<I", content, directory + 24, 4_000_000_000)
    refused(
        write(tmp_path, "log.eval", bytes(content)),
        "the entry 'summaries.json' claims 4,000,000,000 bytes",
    )


def test_an_entry_of_two_gigabytes_of_nothing_takes_no_memory(tmp_path):
    """A zip bomb: a megabyte that unpacks to a string without end is refused on the way."""
    entries = made.inspect_entries()
    entries["summaries.json"] = b'[{"id": "' + b"x" * 300_000_000
    path = write(tmp_path, "log.eval", made.zipped(entries))
    assert path.stat().st_size < 10**6
    refused(path, "a single value of more than")


def test_paths_that_lead_out_of_a_zip_are_only_names(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    entries = made.inspect_entries() | {
        "../../evil.json": {"x": 1},
        "/etc/evil.json": {"x": 1},
        "samples/../../evil.json": made.inspect_samples()[0] | {"id": "../../evil"},
    }
    path = write(folder, "log.eval", made.zipped(entries))
    assert of(bp.read(path)) == made.COUNTS | {"../../evil": (1, 1)}
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["log.eval"]


def test_damaged_zips(tmp_path):
    entries = made.inspect_entries()
    whole = made.zipped(entries)
    refused(write(tmp_path, "a.eval", whole[:-30]), "damaged or cut short", format="inspect")
    flipped = bytearray(made.zipped(entries, zipfile.ZIP_STORED))
    flipped[flipped.rindex(b'"id": "a"') + 7] = ord("z")
    refused(write(tmp_path, "b.eval", bytes(flipped)), "damaged or cut short: Bad CRC-32")
    del entries["header.json"], entries["_journal/start.json"]
    refused(
        write(tmp_path, "c.eval", made.zipped(entries)),
        "no known format: it is a zip with ",
        bp.errors.InputError,
    )
    refused(
        tmp_path / "c.eval", "the zip must have an entry '_journal/start.json'", format="inspect"
    )
    with zipfile.ZipFile(tmp_path / "d.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(made.inspect_header()))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("header.json", "{}")
    refused(tmp_path / "d.eval", "a header of the zip must be there once: 'header.json'")
    refused(
        write(tmp_path, "e.eval", made.zipped({"header.json": []})),
        "the header of the log must be an object",
    )
    refused(
        write(tmp_path, "f.eval", made.zipped({"header.json": made.inspect_header()})),
        "the log has no samples",
    )


def test_an_encrypted_zip(tmp_path):
    content = bytearray(made.zipped(made.inspect_entries(), zipfile.ZIP_STORED))
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 8] |= 1
    at = -1
    while (at := content.find(b"PK\x03\x04", at + 1)) >= 0:
        content[at + 6] |= 1
    refused(write(tmp_path, "log.eval", bytes(content)), "cannot be read: .*(encrypted|password)")


# YAML, NumPy, Parquet --------------------------------------------------------------------------


def test_tags_in_yaml_do_nothing(tmp_path):
    done = tmp_path / "done"
    call = f"!!python/object/apply:os.system ['touch {done}']"
    path = write(tmp_path, "a.yaml", f"is_correct: [true, false]\nprompt: {call}\n".encode())
    assert of(bp.read(path)) == {"a": (2, 1)}
    refused(
        write(tmp_path, "b.yaml", f"is_correct: {call}\n".encode()),
        "is_correct must be a plain list",
    )
    refused(
        write(tmp_path, "c.yaml", b"is_correct:\n- !!bool 'true'\n"),
        "must be a list of true and false; number 1",
    )
    refused(
        write(tmp_path, "d.yaml", f"is_correct:\n- {call}\n".encode()),
        "must be a list of true and false; number 1",
    )
    assert not done.exists()


BAD_YAML = {
    "maybe": (
        b"is_correct: [true, maybe]\n",
        "must be a list of true and false; number 2 is 'maybe'",
    ),
    "text": (b"is_correct: ['true']\n", "number 1 is 'true'"),
    "not a list": (b"is_correct: true\n", "is_correct must be a plain list"),
    "nested": (b"is_correct: [[true]]\n", "number 1 is 'SequenceStartEvent'"),
    "alias": (b"a: &x [true]\nis_correct: *x\n", "must be a plain list"),
    "both": (
        b"is_correct: [true]\nis_corrects: [true]\n",
        "must have one of is_correct and is_corrects; this has 2",
    ),
    "twice": (b"is_correct: [true]\nis_correct: [false]\n", "the key 'is_correct' occurs twice"),
    "cut": (b"is_correct: [true, false", r"line 2: not YAML: .*; is the file cut short\?"),
    "samples cut": (
        b"is_correct: [true, false]\nsamples:\n- x\n",
        "1 samples, and 2 in is_correct; is the file cut",
    ),
    "tabs": (b"is_correct:\n\t- true\n", "line 2: not YAML"),
    "two documents": (b"is_correct: [true]\n---\nis_correct: [true]\n", "occurs twice"),
    "control": (b"is_correct: [true]\nx: \x01\n", "not YAML"),
}


@pytest.mark.parametrize(("content", "message"), BAD_YAML.values(), ids=BAD_YAML)
def test_bad_yaml(tmp_path, content, message):
    refused(write(tmp_path, "a.yaml", content), message)


def test_yaml_that_multiplies_is_not_built(tmp_path):
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 30)]
    merges = b"m0: &m0 {x: 1}\n" + b"\n".join(
        b"m%d: &m%d {<<: [*m%d, *m%d]}" % (i, i, i - 1, i - 1) for i in range(1, 40)
    )
    content = b"\n".join([*lines, merges, b"is_correct: [true, false]"])
    assert of(bp.read(write(tmp_path, "a.yaml", content))) == {"a": (2, 1)}


def test_arrays_that_are_no_matrices_of_numbers(tmp_path):
    for value in (
        np.array([{"a": 1}], dtype=object),
        np.zeros(3),
        np.array([["x"]]),
        np.array([[1j]]),
    ):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=True)
        refused(write(tmp_path, "x.npy", file.getvalue()), "matrix of numbers|array of numbers")
    huge = (
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(
            127
        )
        + b"\n"
    )
    refused(
        write(tmp_path, "x.npy", huge), "not an array of numbers that NumPy saved, or cut short"
    )


def test_parquet_with_columns_that_are_no_counts(tmp_path):
    for rows, message in [
        ([{"problem": "a", "attempts": [1], "successes": 1}], "attempts must be numbers"),
        ([{"problem": "a", "attempts": 1, "successes": 2}], "must not exceed attempts"),
        ([{"problem": "a", "success": [[1]]}], "a list of outcomes must have one for each attempt"),
        ([{"problem": {"x": 1}, "success": 1}], "problem must be numbers or text: row 1 holds"),
        ([{"problem": "a", "success": {"x": 1}}], "success must be numbers or text: row 1 holds"),
        ([{"problem": None, "success": 1}], "problem must not be missing"),
        ([{"is_corrects": "yes"}], "is_correct must be a list"),
    ]:
        refused(write(tmp_path, "x.parquet", made.parquet(rows)), message)


# Size ------------------------------------------------------------------------------------------


def test_lines_are_not_kept(tmp_path, full_size):
    """Ten times the lines take no more memory; benchmarks/reading.py has ten million of them."""
    lines = 2_000_000 if full_size else 20_000
    peaks = []
    for size in (lines // 10, lines):
        with (tmp_path / "log").open("w") as file:
            file.writelines(
                f'{{"task_id": {n % 10}, "completion": "{"x" * 100}", "passed": false}}\n'
                for n in range(size)
            )
        tracemalloc.start()
        try:
            assert bp.read(tmp_path / "log").attempts.sum() == size
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


def test_a_long_document_is_not_kept(tmp_path):
    solutions = [{"solution": "x" * 200, "base_status": "pass"}] * 20_000
    (tmp_path / "log").write_text(json.dumps({"eval": {f"T/{i}": solutions[i:] for i in range(2)}}))
    tracemalloc.start()
    try:
        assert bp.read(tmp_path / "log").attempts.tolist() == [20_000, 19_999]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (tmp_path / "log").stat().st_size / 4
