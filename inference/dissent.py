"""Whether the parts of a page agree: of a line that is half printed and half written, each part speaks for its own class.

A class activation map says where a page speaks for a class, so a part's own logits are about those of a page that looks like
it everywhere. What speaks against a class the maps leave out: it is known of the whole page, and counts evenly in every part.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_PARTS = 3


def dissent(logits: FloatArray, cams: FloatArray) -> float:
    """By how much, in logits, the part that does so most prefers another class to the winner; negative if none does.

    Takes the logits (classes) and maps (classes x h x w) of one image. Parts are as high as the page and a third as wide, and
    overlap.
    """
    columns = cams.sum(axis=1)
    unexplained = logits - columns.sum(axis=1)
    own = _sums_of_parts(columns) + unexplained[:, None]
    lead = own - own[int(logits.argmax())]
    return float(np.delete(lead, int(logits.argmax()), axis=0).max())


def _sums_of_parts(columns: FloatArray) -> FloatArray:
    """For each class and part (classes x parts) the sum over the page if it were everywhere as it is there."""
    total = columns.shape[1]
    width = max(1, total // _PARTS)
    windows = np.lib.stride_tricks.sliding_window_view(columns, width, axis=1)
    return np.asarray(windows.sum(axis=2) * (total / width), dtype=np.float32)
