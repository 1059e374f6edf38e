"""What mpmath takes seconds for, and is kept."""

import json
import os
from pathlib import Path

import pytest

KEPT = Path(__file__).with_name("references.json")


@pytest.fixture
def reference(full_size):
    """A function that returns what an oracle finds, from the file if it is kept there."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    size, computed = len(kept), []

    def of(oracle, *arguments):
        key = " ".join([oracle.__name__, *(repr(float(value)) for value in arguments)])
        if key not in kept or not computed or full_size:
            want = float(oracle(*arguments))
            computed.append(key)
            # other versions of mpmath may differ in the last digits
            assert kept.setdefault(key, want) == pytest.approx(want, rel=1e-12, abs=1e-12), key
        return kept[key]

    yield of
    if os.environ.get("BAYESPASSK_BASELINE") == "write" and len(kept) > size:
        lines = ",\n".join(f"{json.dumps(key)}: {value!r}" for key, value in sorted(kept.items()))
        KEPT.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
