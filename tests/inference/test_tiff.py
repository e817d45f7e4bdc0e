import struct

import pytest
from PIL import Image

from inference.tiff import count_pages
from tests.inference.documents import tiff_chain
from tests.pictures import encoded, png

ANY = 10**9
FIRST, SIZE = 8, 6


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pages", [1, 2, 7])
def test_every_directory_of_the_chain_is_a_page(pages: int, big: bool) -> None:
    others = [Image.new("L", (8, 8), level) for level in range(1, pages)]
    data = encoded(Image.new("L", (8, 8)), "TIFF", save_all=True, append_images=others, big_tiff=big)
    assert count_pages(data, at_most=ANY) == pages


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_followed(order: str) -> None:
    assert count_pages(tiff_chain([14, 20, 0], order=order), at_most=ANY) == 3


def test_a_chain_that_bites_its_tail_ends() -> None:
    assert count_pages(tiff_chain([14, 20, 8]), at_most=ANY) == 3
    assert count_pages(tiff_chain([8]), at_most=ANY) == 1


def test_a_directory_beyond_the_end_is_a_lost_page() -> None:
    assert count_pages(tiff_chain([14, 10**6]), at_most=ANY) == 3


def test_counting_stops_where_nobody_cares_any_more() -> None:
    long_chain = tiff_chain([FIRST + SIZE * number for number in range(1, 5000)] + [0])
    assert count_pages(long_chain, at_most=501) == 501


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\x08\0", png(), b"II+\0" + struct.pack("<HHQ", 8, 0, 10**15)])
def test_what_has_no_chain_counts_as_one_page(data: bytes) -> None:
    assert count_pages(data, at_most=ANY) == 1
