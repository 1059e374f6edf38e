"""What a terminal would obey in a name is not sent to one."""

import unicodedata

import pytest

from bayespassk.terminal import html_table, on_line, printable, visible

HOSTILE = {
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "control sequences in one byte": "\x9b31m\x9d0;title\x9c",
    "bell and backspace": "0.1\x07\x08\x089",
    "turned": "\u202e123.0\u202c",
    "isolated": "\u2067x\u2069",
    "marks": "a\u200e\u200f\u061cb",
    "delete and null": "\x7f\0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_controls_become_the_sign_for_what_is_unknown(text):
    for shown in (visible(text), printable(text), on_line(text)):
        assert "\ufffd" in shown
        left = [one for one in shown if unicodedata.category(one) in ("Cc", "Cf")]
        assert left == []


def test_names_of_all_languages_stay_as_they_are():
    text = "é 模型 עברית عربي 👩\u200d💻 a\tb\nc"  # a joiner is part of a sign
    assert visible(text) == text
    assert printable(text) == text
    assert on_line(text) == text.replace("\t", " ").replace("\n", " ")


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\u2028", "\u2029"])
def test_nothing_but_a_newline_ends_a_line(end):
    """A carriage return would write over what stands there."""
    assert printable(f"0.001{end}0.999\n") == "0.001\ufffd0.999\n"
    assert len(on_line(f"0.001{end}0.999\n").splitlines()) == 1


def test_a_table_for_a_notebook_holds_text_and_nothing_else():
    page = html_table("<b>", ["a&b"], [["<script>\u202e"]] * 22)
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
    assert "a&amp;b" in page
    assert "\u202e" not in page
    assert page.count("<tr>") == 21
    assert "and 2 more" in page
