import struct

import numpy as np
import pytest
from PIL import Image

from inference.cam import PackedCamError, overlay, pack, unpack


@pytest.mark.parametrize("peak", [1e-6, 0.3, 1.0, 12_345.0])
def test_a_map_comes_back_to_within_half_a_level(peak: float) -> None:
    grid = np.random.default_rng(3).random((8, 32), dtype=np.float32) * np.float32(peak)
    assert np.abs(unpack(pack(grid)) - grid).max() <= grid.max() / 255 * 0.51


def test_a_map_of_the_real_size_takes_264_bytes() -> None:
    assert len(pack(np.ones((8, 32), dtype=np.float32))) == 264


def test_a_map_of_nothing_stays_nothing() -> None:
    assert unpack(pack(np.zeros((2, 3), dtype=np.float32))).tolist() == [[0, 0, 0], [0, 0, 0]]


PACKED = pack(np.ones((2, 3), dtype=np.float32))


@pytest.mark.parametrize("damaged", [b"", PACKED[:7], PACKED[:-1], PACKED + b"\0", struct.pack("<HHf", 3, 3, 1.0) + PACKED[8:]])
def test_a_damaged_map_is_refused(damaged: bytes) -> None:
    with pytest.raises(PackedCamError, match="stored class activation map is damaged"):
        unpack(damaged)


def test_an_overlay_is_brightest_where_the_map_is_strongest() -> None:
    page = Image.new("RGB", (200, 100), (90, 90, 90))
    drawn = overlay(page, np.array([[0.0, 0.0, 0.0, 0.0, 5.0]], dtype=np.float32))
    assert drawn.size == page.size
    assert drawn.getpixel((5, 50)) == (90, 90, 90)
    strongest = drawn.getpixel((195, 50))
    assert isinstance(strongest, tuple)
    assert sum(strongest) > 500


def test_an_overlay_of_nothing_leaves_the_page_as_it_is() -> None:
    page = Image.new("RGB", (20, 10), (90, 90, 90))
    assert overlay(page, np.zeros((2, 4), dtype=np.float32)).tobytes() == page.tobytes()
