"""Figures held against committed pictures: what is drawn, without text.

Versions of matplotlib draw text differently, so that words are for other tests. Both pictures are
made grey and averaged over squares of 8 by 8 pixels; a square has changed if its mean did by a
twentieth of the way from black to white. With matplotlib 3.9.4 and 3.11.2 none has. To make new
pictures, after looking at the old ones:

    BAYESPASSK_BASELINE=write pytest tests/test_pictures.py
"""

import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.image import imread
from matplotlib.legend import Legend
from matplotlib.text import Text

BASELINE = Path(__file__).parent / "baseline"
SQUARE = 8
CHANGED = 0.05
MOST_CHANGED = 0.01


def axes(rows=1, columns=1, width=3.5, height=2.7):
    """Return axes whose places do not depend on how wide a version draws their labels."""
    figure, found = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    figure.subplots_adjust(left=0.2, right=0.97, bottom=0.25, top=0.92, wspace=0.4, hspace=0.45)
    return found if found.size > 1 else found[0, 0]


def changed(figure, name) -> float:
    """Return the share of squares that differ from the picture of this name."""
    for words in (*figure.findobj(Text), *figure.findobj(Legend)):
        words.set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100, metadata={"Software": None})
    path = BASELINE / f"{name}.png"
    if os.environ.get("BAYESPASSK_BASELINE") == "write":
        path.write_bytes(image.getvalue())
    image.seek(0)
    new, old = _squares(imread(image)), _squares(imread(path))
    if new.shape != old.shape:
        return 1.0
    return float((np.abs(new - old) > CHANGED).mean())


def _squares(image):
    grey = image[..., :3].mean(-1)
    height, width = (size - size % SQUARE for size in grey.shape)
    return grey[:height, :width].reshape(height // SQUARE, SQUARE, -1, SQUARE).mean((1, 3))


def same(figure, name) -> bool:
    """Return whether a figure looks as it did."""
    return changed(figure, name) <= MOST_CHANGED
