"""The site has a version for each release."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "docs" / "versions.py"


@pytest.fixture(scope="module")
def versions():
    spec = importlib.util.spec_from_file_location("versions", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_releases_are_tags_of_three_numbers_the_newest_first(versions):
    tags = ["v0.9.0", "v0.10.0", "v1.0.0rc1", "nightly", "v0.1.2", "0.3.0"]
    assert versions.releases(tags) == ["v0.10.0", "v0.9.0", "v0.1.2"]


def test_the_first_page_leads_to_the_newest_release(versions, tmp_path):
    versions.index(tmp_path, ["v0.10.0", "v0.9.0"], "HEAD")
    assert json.loads((tmp_path / "versions.json").read_text()) == ["0.10.0", "0.9.0", "main"]
    assert "url=0.10.0/index.html" in (tmp_path / "index.html").read_text()
    versions.index(tmp_path, [], "HEAD")
    assert "url=main/index.html" in (tmp_path / "index.html").read_text()


def test_what_is_there_is_not_built_again(versions, tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(versions, "build", lambda commit, output: built.append((commit, output)))
    monkeypatch.setattr(versions, "_git", lambda *_: "v0.1.0\nv0.2.0\n")
    there = tmp_path / "0.1.0" / "index.html"
    there.parent.mkdir()
    there.write_text("")
    monkeypatch.setattr("sys.argv", ["versions.py", str(tmp_path)])
    versions.main()
    assert built == [("v0.2.0", tmp_path / "0.2.0"), ("HEAD", tmp_path / "main")]
