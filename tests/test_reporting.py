"""A report says what the verbs say, judges it, and shows text of users as text."""

import copy
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

import bayespassk as bp
from bayespassk.asking.guard import agreements
from bayespassk.cli import cli
from bayespassk.counts import visible
from bayespassk.posterior.fitted import opened
from bayespassk.reporting.document import headline, share
from bayespassk.reporting.verdict import verdict
from conftest import HOSTILE

KS = [1, 100, 10_000]
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "report.md"


@pytest.fixture(scope="module")
def fits(counts):
    """Two fits of few draws, which is all that takes time here."""
    options = {"pooling": "none", "draws": 250, "random_seed": 1, "progress": False}
    return [bp.fit(counts, family, **options) for family in (bp.Beta(), bp.Kumaraswamy())]


@pytest.fixture(scope="module")
def fit(fits):
    return fits[0]


@pytest.fixture(scope="module")
def fit_path(fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    bp.save(fit, path)
    return path


@pytest.fixture(scope="module")
def page(fits, tmp_path_factory):
    """A report as HTML, and its data."""
    path = tmp_path_factory.mktemp("reports") / "report.html"
    data = bp.report(fits, path, k=KS)
    return path.read_text(), data


@pytest.fixture(scope="module")
def data(page):
    return page[1]


def rows(table: pd.DataFrame):
    return json.loads(table.to_json(orient="records", double_precision=15))


# What it says ----------------------------------------------------------------------------------


def test_numbers_are_those_of_the_verbs(data, fits, counts):
    fit = fits[0]
    for target in ("benchmark", "population", "realised"):
        want = bp.summarize(bp.forecast(fit, KS, target))
        got = pd.DataFrame(data["forecast"][target])
        pd.testing.assert_frame_equal(got[want.columns], want, rtol=1e-9)
    assert data["comparison"]["rows"] == rows(bp.compare(fits, progress=False))
    want = bp.disagreement(fits, KS)
    assert [row["family_share"] for row in data["comparison"]["disagreement"]] == pytest.approx(want["family_share"])  # fmt: skip
    assert [row["medians"]["kumaraswamy"] for row in data["comparison"]["disagreement"]] == pytest.approx(want["kumaraswamy"])  # fmt: skip
    assert data["checks"]["rows"] == rows(bp.summarize_check(bp.check(fit)))
    want = bp.sensitivity(fit, KS)
    got = pd.DataFrame(data["sensitivity"]["rows"])
    assert set(got["target"]) == {"benchmark", "population", "realised"}
    got = got[got["target"] == "benchmark"].drop(columns=["target", "what"])
    pd.testing.assert_frame_equal(got, want, rtol=1e-9)
    assert data["tail_exponent"] == rows(bp.summarize(bp.tail_exponent(fit, 10_000)))
    known = bp.estimators.chen(counts, [1, 100])
    assert [row["pass_at_k"] for row in data["estimate"]] == pytest.approx(known.ravel())
    assert data["fits"]["beta"]["input_sha256"] == counts.sha256()
    assert data["fits"]["beta"]["seed"] == 1
    small = data["data"]["systems"][0]
    mine = counts.select("small")
    assert small["unsolved"] == (mine.successes == 0).sum()
    assert (small["attempts"], small["successes"]) == (mine.attempts.sum(), mine.successes.sum())


def test_the_docs_have_the_keys_of_the_data(data):
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert documented == list(data)


def test_json_is_the_data_and_csv_is_tidy(fits, data, tmp_path):
    path = tmp_path / "report.json"
    assert bp.report(fits, path, k=KS) == data
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == data
    path = tmp_path / "report.csv"
    bp.report(fits, path, k=KS, target=["population", "benchmark"], prob=0.5)
    found = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [(row["target"], row["system"], row["k"]) for row in found[:4]] == [
        ("population", "small", "1"),
        ("population", "small", "100"),
        ("population", "small", "10000"),
        ("population", "large", "1"),
    ]
    assert len(found) == 2 * 2 * 3
    want = bp.summarize(bp.forecast(fits[0], KS, "population"), 0.5)
    assert [float(row["upper"]) for row in found[:6]] == pytest.approx(want["upper"].tolist())
    assert {row["prob"] for row in found} == {"0.5"}


def test_the_same_report_is_the_same_file(fits, tmp_path):
    for suffix in (".html", ".md"):
        one, other = (tmp_path / name / f"report{suffix}" for name in "ab")
        for path in (one, other):
            path.parent.mkdir(exist_ok=True)
            bp.report(fits[0], path, k=[1, 10], target="benchmark")
        assert one.read_bytes() == other.read_bytes()


def test_of_a_fit_with_a_verifier_both_curves_are_shown(counts, tmp_path):
    family = bp.Verified(bp.Beta(), true_positive_rate=1.0, false_positive_rate=0.001)
    fit = bp.fit(counts, family, pooling="none", draws=100, random_seed=1, progress=False)
    path = tmp_path / "report.html"
    found = bp.report(fit, path, k=[1, 1000])
    assert list(found["forecast"]) == ["benchmark", "population"]
    of = {(r["system"], r["what"], r["k"]): r for r in found["forecast"]["benchmark"]}
    want = bp.summarize(bp.verifier.true_pass_at_k(fit, [1, 1000]))
    assert of["small", "true pass@k", 1000]["median"] == pytest.approx(want["median"][1])
    assert of["small", "apparent pass@k", 1000]["median"] > want["median"][1]
    assert "true pass@k" in path.read_text()
    with pytest.raises(bp.errors.OptionError, match="'benchmark' or 'population' where a verifier"):
        bp.report(fit, path, target="realised")


# The verdict -----------------------------------------------------------------------------------


MOST = {"small": 100, "large": 100}


def judged(data, change):
    changed = copy.deepcopy(data)
    changed["asked"]["k"] = [1, 100, 1000]  # beyond, the choice of the family is the first reason
    change(changed)
    found = verdict(changed, MOST)
    return found["level"], found["reasons"][0]["text"]


def test_nothing_found_is_sound(data):
    near = copy.deepcopy(data)
    near["asked"]["k"] = [1, 100]
    found = verdict(near, MOST)
    assert found["level"] == "sound"
    texts = [one["text"] for one in found["reasons"]]
    assert len(texts) == 5
    assert "Independence of attempts: not testable from counts alone." in texts
    assert found["reasons"][0]["text"] == "The posterior was integrated exactly."
    assert "Sound up to k = 100, the largest asked for." in found["sentence"]
    # far beyond the attempts nothing in the data tells that the family is right
    assert data["verdict"]["level"] == "read the warnings"
    first = data["verdict"]["reasons"][0]["text"]
    assert first.startswith("k = 10,000 is more than 10 times the attempts made at any problem: ")


def test_a_fit_that_did_not_converge_is_not_to_be_used(fit, tmp_path):
    bad = fit.copy()
    bad.attrs = dict(fit.attrs)
    bad.attrs["diagnostics"] = json.dumps(
        {"max_rhat": 1.3, "min_ess": 12.0, "divergences": 7, "pareto_k": None, "systems": ["small"]}
    )
    found = bp.report(bad, tmp_path / "report.html", k=[1, 10], target="benchmark")
    assert found["verdict"]["level"] == "do not use"
    first = found["verdict"]["reasons"][0]
    assert first["level"] == "do not use"
    assert "R-hat 1.300" in first["text"]
    assert "7 divergences" in first["text"]
    text = (tmp_path / "report.html").read_text()
    assert text.index("Do not use") < text.index("What was asked")
    # of a fit that is only compared, it is a warning
    found = bp.report({"good": fit, "bad": bad}, tmp_path / "report.md", k=[1, 10], target="benchmark")  # fmt: skip
    assert found["verdict"]["level"] == "read the warnings"
    assert found["verdict"]["reasons"][0]["text"].startswith("Family bad: the fit did not converge")


def test_a_family_that_is_wrong_about_the_data_is_a_warning(tmp_path):
    """Half of the problems are equally hard and half equally easy, which no beta makes."""
    p = np.repeat([0.02, 0.5], 100)
    successes = np.random.default_rng(1).binomial(50, p)
    counts = bp.Counts(problem=np.arange(200), attempts=np.full(200, 50), successes=successes)
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    found = bp.report(fit, tmp_path / "report.html", k=[1, 100], target="benchmark")
    assert found["verdict"]["level"] == "read the warnings"
    first, *others = (reason["text"] for reason in found["verdict"]["reasons"])
    assert first.startswith("The attempts at system contradict the family: they show pass@1 = ")
    assert any(text.startswith("Check of system: ") and " misses " in text for text in others)
    assert found["agreement"]["rows"][0]["p_value"] < 0.01
    assert {row["family"] for row in found["agreement"]["explained"]} >= {"beta", "logit-normal"}
    assert [row["up_to"] for row in found["verdict"]["reach"]] == [None]
    assert "Sound at no k asked for." in found["verdict"]["sentence"]


def reach_of(data, change=None):
    changed = copy.deepcopy(data)
    if change is not None:
        change(changed)
    found = verdict(changed, MOST)["reach"]
    return {
        row["system"]: (row["up_to"], row["rests_on_family_from"])
        for row in found
        if row["target"] == "benchmark"
    }


def test_it_says_up_to_which_k_it_is_sound(data):
    whole = {"small": (100, 10_000), "large": (100, 10_000)}
    assert reach_of(data) == whole
    said = data["verdict"]["sentence"]
    assert "Sound up to k = 100. From k = 10,000 on, forecasts rest on the choice" in said
    assert reach_of(data, put("comparison", None)) == whole
    changed = copy.deepcopy(data)
    changed["asked"]["k"] = [1, 1000]
    changed["comparison"]["disagreement"][4] |= {"k": 1000, "family_share": 0.51}
    assert reach_of(changed) == {"small": (1000, None), "large": (1, 1000)}
    ruled = put("sensitivity", "rows", 1, "others_share", 0.9)  # at k = 100 of small
    assert reach_of(data, ruled) == whole | {"small": (1, 10_000)}
    moved = put("pooling", "beyond", [{"target": "benchmark", "system": "large", "k": 1}])
    assert reach_of(data, moved) == whole | {"large": (None, 10_000)}
    missed = put("checks", "rows", 0, "p_value", 0.01)
    assert reach_of(data, missed) == whole | {"small": (None, 10_000)}
    assert "Sound up to k: small at none, large 100." in judged_sentence(data, missed)


def test_problems_held_to_be_impossible_end_what_is_sound(data):

    def held(share):
        def change(changed):
            changed["asked"]["k"] = [1, 30, 100]
            changed["data"]["systems"][0]["held_impossible"] = share

        return change

    assert reach_of(data, held(None))["small"] == (100, None)
    assert reach_of(data, held(0.75))["small"] == (30, 100)
    level, first = judged(data, held(0.75))
    assert level == "read the warnings"
    assert first.startswith("Most problems not solved by small (75%) are held to be impossible.")


def judged_sentence(data, change):
    changed = copy.deepcopy(data)
    change(changed)
    return verdict(changed, MOST)["sentence"]


def test_the_headline_is_the_largest_k_that_is_sound(data):
    changed = copy.deepcopy(data)
    changed["comparison"] = None
    changed["verdict"] = verdict(changed, MOST)
    whose, small, large = headline(changed)
    assert whose.startswith(
        "Target benchmark: the mean over the problems attempted. The forecasts are"
    )
    assert small.startswith("small: pass@k at k = 100 is ")
    put("checks", "rows", 0, "p_value", 0.01)(changed)
    changed["verdict"] = verdict(changed, MOST)
    whose, small, large = headline(changed)
    assert whose.startswith(
        "Target benchmark: the mean over the problems attempted. The forecasts are"
    )
    assert small.startswith("small: pass@k at k = 1 is ")
    assert small.endswith("; read why this is not held to be sound.")
    assert large.startswith("large: pass@k at k = 100 is ")


def test_attempts_too_few_to_tell_are_never_sound(tmp_path):
    """Ten problems with one attempt each, and a hundred with two."""
    for problems, attempts in ((10, 1), (100, 2)):
        made = np.full(problems, attempts)
        solved = np.random.default_rng(2).binomial(made, 0.4)
        counts = bp.Counts(problem=np.arange(problems), attempts=made, successes=solved)
        fit = bp.fit(counts, random_seed=1, progress=False)
        found = bp.report(fit, tmp_path / "report.json", k=[1, 10], target="benchmark")
        assert found["verdict"]["level"] == "read the warnings"
        said = " ".join(reason["text"] for reason in found["verdict"]["reasons"])
        assert "Nearly all problems of system were attempted once or twice." in said
        assert [row["up_to"] for row in found["verdict"]["reach"]] == [None]


def test_a_system_without_success_rests_on_the_prior(tmp_path):
    counts = bp.Counts(problem=np.arange(30), attempts=np.full(30, 20), successes=np.zeros(30))
    with pytest.warns(bp.errors.PriorDrivenWarning):
        fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    found = bp.report(fit, tmp_path / "report.html", k=[1, 10**6], target="benchmark")
    said = " ".join(r["text"] for r in found["verdict"]["reasons"] if r["level"] != "sound")
    assert "No attempt of system was a success." in said
    assert "At k = 1,000,000 the prior weighs more than the attempts in the forecast of system" in said  # fmt: skip
    assert "no other family was compared" in said


def put(*path):
    """Return a change that sets the last of `path` at the place before it."""
    *keys, last, value = path

    def change(data):
        for key in keys:
            data = data[key]
        data[last] = value

    return change


def far_and_alone(data):
    data["comparison"] = None
    data["asked"]["k"] = [1, 10_000]


def part_contradicted(data):
    (row, *_) = data["agreement"]["rows"]
    data["agreement"]["averaged"] = {"other": [row | {"p_value": 0.001}]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put("data", "log", {"errored": 3, "missing": 2, "errors": "drop", "attempts": 98}), "5 of 100 attempts of the log had no outcome and were left out."),
        (put("data", "log", {"errored": 5, "missing": 0, "errors": "fail", "attempts": 100}), "5 of 100 attempts of the log had no outcome and were counted as failures."),
        (put("agreement", "rows", 1, "p_value", 0.009), "The attempts at large contradict the family: they show pass@"),
        (part_contradicted, "The attempts at small contradict family other, which the average is made of, too."),
        (put("data", "systems", 1, "attempts", 0), "Nothing was attempted by large: the forecast is the prior."),
        (put("data", "systems", 1, "successes", 12_800), "No attempt of large was a failure."),
        (put("sensitivity", "rows", 2, "prior_share", 0.51), "At k = 10,000 the prior weighs more than the attempts in the forecast of small (51%)."),
        (put("sensitivity", "rows", 2, "prior_shift", -0.8), "The prior moves 1 of "),
        (put("checks", "rows", 0, "p_value", 0.049), "Check of small: "),
        (put("comparison", "disagreement", 5, "family_share", 0.51), "At k = 10,000 the families disagree about large: which of them is right makes up to 51%"),
        (put("comparison", "warnings", ["LOO is unreliable"]), "Of the comparison of families: LOO is unreliable."),
        (far_and_alone, "k = 10,000 is more than 10 times the attempts made at any problem, and no other family was compared"),
    ],
)  # fmt: skip
def test_what_is_found_is_a_warning_with_its_reason(data, change, text):
    level, first = judged(data, change)
    assert level == "read the warnings"
    assert first.startswith(text)


def test_a_family_that_is_clearly_better_is_a_warning_and_one_within_the_error_is_not(data):
    def worse(by, error):
        def change(changed):
            mine, other = sorted((r for r in changed["comparison"]["rows"] if r["system"] == "all"), key=lambda r: r["family"])  # fmt: skip
            mine.update(rank=1, elpd_diff=-by, dse=error)
            other.update(rank=0, elpd_diff=0.0, dse=0.0)

        return change

    level, first = judged(data, worse(30, 5))
    assert level == "read the warnings"
    assert first.startswith("Family kumaraswamy foretells unseen problems clearly better than beta")
    assert judged(data, worse(9, 5))[0] == "sound"
    assert judged(data, worse(3, 1))[0] == "sound"


def test_many_findings_are_counted_and_not_all_told(data):
    def change(changed):
        for row in changed["checks"]["rows"][:5]:
            row["p_value"] = 0.01

    changed = copy.deepcopy(data)
    change(changed)
    texts = [reason["text"] for reason in verdict(changed, MOST)["reasons"]]
    assert sum(text.startswith("Check of") for text in texts) == 3
    assert "2 further findings are under Checks." in texts


# How it is written -----------------------------------------------------------------------------


class Page(HTMLParser):
    """All tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, wanted):
        return [value for _, name, value in self.attributes if name == wanted]


KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "main", "section", "p", "span",
    "ul", "li", "nav", "a", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "img",
    "figcaption", "footer", "strong", "em",
}  # fmt: skip


def test_a_page_holds_hostile_names_as_text(hostile_fits, tmp_path):
    path = tmp_path / "report.html"
    bp.report(hostile_fits, path, k=KS, target="benchmark")
    found = Page(path.read_text())
    assert set(found.tags) <= KNOWN
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert all(value.startswith("#") for value in found.values("href"))
    assert all(value.startswith("data:image/svg+xml;base64,") for value in found.values("src"))
    text = " ".join(found.texts)
    for name in map(visible, HOSTILE):
        assert name in text
        assert any(name in alt for alt in found.values("alt"))
    assert f"</title>{HOSTILE[0]}" in text
    assert '<b>log<b> & "more".csv' in text
    assert len(found.values("id")) == len(set(found.values("id")))
    assert found.tags.count("img") == len(found.values("alt")) > 5
    assert all(len(alt) > 40 for alt in found.values("alt"))


def test_pictures_in_a_page_are_whole_and_name_no_date(page):
    import base64
    from xml.etree import ElementTree as ET

    text = page[0]
    images = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert len(images) == 3 + 2 + 1 + 2 + 2  # targets, p, comparison, families, checks
    for image in images:
        svg = base64.b64decode(image).decode()
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 -- made here
        assert "<script" not in svg
        assert "dc:date" not in svg


def test_markdown_holds_hostile_names_as_text(hostile_fits, tmp_path):
    path = tmp_path / "my report.md"
    bp.report(hostile_fits, path, k=KS, target="benchmark")
    source = path.read_text()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(source)
    found = Page(html)
    assert set(found.tags) <= KNOWN
    assert not found.values("href")
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    text = " ".join(found.texts)
    for name in map(visible, HOSTILE):
        assert " ".join(name.split()) in text
    folder = tmp_path / "my report_files"
    shown = [value.replace("%20", " ") for value in found.values("src")]
    assert sorted(shown) == sorted(f"{folder.name}/{file.name}" for file in folder.iterdir())
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in folder.iterdir())
    assert found.tags.count("table") == source.count("\n|---") >= 7
    assert found.tags.count("h1") == 1


def test_latex_holds_hostile_names_as_text(hostile_fits, tmp_path):
    path = tmp_path / "report.tex"
    bp.report(hostile_fits, path, k=KS)
    source = path.read_text()
    assert source.count(r"\toprule") == source.count(r"\bottomrule") == 3
    commands = set(re.findall(r"\\([A-Za-z]+)", source))
    assert commands <= {
        "begin", "bottomrule", "caption", "centering", "cmidrule", "end", "label", "midrule", "multicolumn", "scriptsize", "textasciicircum",
        "textasciitilde", "textbackslash", "textbar", "textgreater", "textless", "toprule", "usepackage",
    }  # fmt: skip
    body = [line for line in source.splitlines() if line.endswith(r" \\")]
    assert len(body) == 3 * (3 + 4 * 2)  # heads, and each system's medians and intervals
    wide = [line for line in body if "multicolumn" in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body if line not in wide} == {
        1 + len(KS)
    }
    assert {len(re.findall(r"(?<!\\)&", line)) for line in wide} == {2}
    assert not re.search(
        r"(?<!\\)[$#_^~]", re.sub(r"(?<!\\)\$(k|n|k/n|k, k =|k =)\$|@\$k\$", "", source)
    )
    assert source.count(r"\label{tab:passk-") == 3
    assert r"\$x\_\{\$ \& \% \# \textbackslash{}\textbackslash{} \textbackslash{}input\{x\}" in source  # fmt: skip


def test_each_figure_has_its_place_and_its_words(page, data):
    found = Page(page[0])
    captions = [text for text in found.texts if text.startswith("Forecast of pass@k")]
    assert [re.search(r"target (\w+):", text)[1] for text in captions] == list(data["forecast"])
    alt = found.values("alt")[0]
    row = next(r for r in data["forecast"]["benchmark"] if (r["system"], r["k"]) == ("small", KS[-1]))  # fmt: skip
    assert f"{row['median']:.3g} at k = 10,000 (band there {row['lower']:.3g} to {row['upper']:.3g})" in alt  # fmt: skip


def test_nothing_turns_the_order_of_what_follows_a_name():
    turned = "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200F, 0x61C)))
    assert visible(f"a{turned}b") == f"a{chr(0xFFFD) * len(turned)}b"
    assert visible("a\x00\x1b[31m") == "a\ufffd\ufffd[31m"
    for text in ("two\nlines\t", "模型 🤖", "מודל", "x\u200dy"):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (1e-5, "1.0e-05"), (0.12345, "0.123"), (0.99949, "0.999"), (0.99951, "0.9995"), (0.999962, "0.99996"), (1 - 1e-7, "1.000"), (1.0, "1.000"), (None, "–")],
)  # fmt: skip
def test_shares_have_the_digits_that_tell_them_from_0_and_1(value, text):
    assert share(value) == text


# What is refused -------------------------------------------------------------------------------


def test_options_are_refused_before_anything_is_computed(fit, counts, tmp_path):
    with pytest.raises(
        bp.errors.OptionError, match=r"ends with one of \.html, .*; got .*report\.pdf"
    ):
        bp.report(fit, tmp_path / "report.pdf")
    path = tmp_path / "report.html"
    with pytest.raises(bp.errors.OptionError, match="target must be 'benchmark'"):
        bp.report(fit, path, target="all")
    with pytest.raises(bp.errors.OptionError, match="one or several different targets"):
        bp.report(fit, path, target=["benchmark", "benchmark"])
    with pytest.raises(bp.errors.OptionError, match="k must be a whole number"):
        bp.report(fit, path, k=0)
    with pytest.raises(bp.errors.OptionError, match="prob must lie between"):
        bp.report(fit, path, prob=95)
    with pytest.raises(bp.errors.OptionError, match="at least one family"):
        bp.report([], path)
    other = bp.fit(bp.thin(counts, 10, random_seed=1), bp.Beta(), pooling="none", random_seed=1)
    with pytest.raises(bp.errors.OptionError, match="fits must be of the same counts"):
        bp.report({"a": fit, "b": other}, path)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_leaves_what_was_there(fit, tmp_path):
    with pytest.raises(bp.errors.InputError, match="cannot be written"):
        bp.report(fit, tmp_path / "nowhere" / "report.html", k=1, target="benchmark")
    (tmp_path / "report_files").write_text("a file")
    with pytest.raises(bp.errors.InputError, match="report_files: cannot be made"):
        bp.report(fit, tmp_path / "report.md", k=1, target="benchmark")
    assert [file.name for file in tmp_path.iterdir()] == ["report_files"]


# The command line ------------------------------------------------------------------------------


def invoke(*arguments):
    done = CliRunner().invoke(cli, ["report", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done


def test_a_log_is_fitted_and_reported(counts, tmp_path):
    log, out = tmp_path / "counts.csv", tmp_path / "report.json"
    counts.to_dataframe().to_csv(log, index=False)
    done = invoke(log, "-o", out, "--family", "beta,kumaraswamy", "--pooling", "none", "--k", "1,1e6", "--target", "population", "--prob", 0.8)  # fmt: skip
    found = json.loads(out.read_text())
    assert done.stdout == ""
    assert f"{out}: saved. Verdict: {found['verdict']['level']}." in done.stderr
    assert list(found["fits"]) == ["beta", "kumaraswamy"]
    assert found["asked"]["k"] == [1, 10**6]
    assert found["asked"]["targets"] == ["population"]
    assert found["data"]["log"]["files"] == [str(log)]
    assert found["fits"]["beta"]["seed"] == 1


def test_saved_fits_are_compared(fits, fit_path, tmp_path):
    other, out = tmp_path / "other.nc", tmp_path / "report.json"
    bp.save(fits[1], other)
    invoke(other, fit_path, "-o", out, "--k", "1,10", "--target", "benchmark")
    found = json.loads(out.read_text())
    assert list(found["fits"]) == ["kumaraswamy", "beta"]
    assert found["asked"]["family"] == "kumaraswamy"
    bp.save(fits[0], other)  # of the same family: called as their files
    invoke(other, fit_path, "-o", out, "--k", "1,10", "--target", "benchmark")
    assert list(json.loads(out.read_text())["fits"]) == ["other", "fit"]


def test_the_command_refuses_what_means_nothing(fit_path, tmp_path):
    with pytest.raises(bp.errors.OptionError, match=r"ends with one of"):
        invoke(fit_path, "-o", tmp_path / "report.pdf")
    with pytest.raises(bp.errors.OptionError, match="--family has no meaning for a saved fit"):
        invoke(fit_path, "-o", tmp_path / "report.html", "--family", "beta")
    with pytest.raises(bp.errors.OptionError, match="given twice"):
        invoke(fit_path, fit_path, "-o", tmp_path / "report.html")
    with pytest.raises(bp.errors.OptionError, match="the folder must exist"):
        invoke(fit_path, "-o", tmp_path / "nowhere" / "report.html")


def test_the_average_may_be_the_forecast(fit, counts, tmp_path):
    fits = {
        "beta": fit,
        "other": bp.fit(counts, bp.Kumaraswamy(), pooling="none", draws=500, random_seed=1),
    }
    path = tmp_path / "report.html"
    found = bp.report(fits, path, k=KS, target="benchmark", weights={"beta": 1, "other": 3})
    want = bp.summarize(bp.average(fits, KS, weights={"beta": 1, "other": 3}))
    assert [row["median"] for row in found["forecast"]["benchmark"]] == pytest.approx(
        want["median"]
    )
    assert found["asked"]["average"]["other"] == {"small": 0.75, "large": 0.75}
    text = " ".join(Page(path.read_text()).texts)
    assert "the average of families, with weights: beta (0.25), other (0.75)" in text
    assert "a: median 0.2, 95% in 0.028 to 1.4" in text  # the prior, in words
    assert text.count("This is of family beta alone; the forecasts are an average") == 3
    assert [found[part]["family"] for part in ("checks", "sensitivity")] == ["beta", "beta"]
    (others,) = found["agreement"]["averaged"].items()
    assert others == ("other", agreements(opened(fits["other"])))
    for row in found["comparison"]["disagreement"]:
        for name, one in fits.items():
            band = bp.summarize(bp.forecast(one, row["k"])).set_index("system").loc[row["system"]]
            assert row["bands"][name] == pytest.approx([band["lower"], band["upper"]])
    with pytest.raises(bp.errors.OptionError, match=r"two"):
        bp.report(fit, path, weights="equal")
