import numpy as np
import pytest

from inference.dissent import dissent

BIAS = np.array([0.5, -0.5], dtype=np.float32)


def image(signed: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and maps of a page whose columns speak for the second class as strongly as `signed` says, or for the first."""
    places = np.repeat(np.array(signed, dtype=np.float32)[None], 2, axis=0)
    contributions = np.stack([-places, places]) / places.size
    return contributions.sum(axis=(1, 2)) + BIAS, np.maximum(contributions, 0)


def test_a_line_of_one_class_is_as_sure_in_each_part_as_it_is_in_all() -> None:
    logits, maps = image([6.0] * 12)
    assert dissent(logits, maps) == pytest.approx(logits[0] - logits[1])


def test_a_line_of_two_classes_is_divided_whichever_wins() -> None:
    for halves in ([6.0] * 8 + [-6.0] * 4, [-6.0] * 8 + [6.0] * 4, [-6.0] * 4 + [6.0] * 8):
        assert dissent(*image(halves)) > 2


def test_scattered_doubt_is_no_division() -> None:
    scattered = [6.0, 6.0, -3.0] * 4
    together = [6.0] * 8 + [-3.0] * 4
    assert dissent(*image(scattered)) < 0 < dissent(*image(together))


def test_a_third_class_may_dissent() -> None:
    maps = np.zeros((3, 1, 9), dtype=np.float32)
    maps[0, 0, :6], maps[2, 0, 6:] = 1.0, 1.0
    assert dissent(maps.sum(axis=(1, 2)), maps) == pytest.approx(9.0)


def test_a_map_of_one_column_is_one_part() -> None:
    logits, maps = np.array([2.0, 1.0], dtype=np.float32), np.zeros((2, 8, 1), dtype=np.float32)
    assert dissent(logits, maps) == pytest.approx(-1.0)
