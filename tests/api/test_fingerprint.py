from itertools import pairwise

import pytest

from api.fingerprint import Fingerprint

FORM = "multipart/form-data; boundary="
BODY = b"--cut\r\nname\r\n\r\nscan\r\n--cut--"


def digest(body: bytes, content_type: str = "application/zip", *, cuts: tuple[int, ...] = (), **options: object) -> str:
    fingerprint = Fingerprint("POST /jobs", options, content_type)
    for start, end in pairwise((0, *cuts, len(body))):
        fingerprint.update(body[start:end])
    return fingerprint.hexdigest()


@pytest.mark.parametrize("cut", range(1, len(BODY)))
def test_it_does_not_matter_how_the_body_arrives(cut: int) -> None:
    for content_type in ("application/zip", FORM + "cut", FORM + '"cut"'):
        assert digest(BODY, content_type, cuts=(cut,)) == digest(BODY, content_type)


def test_a_forms_boundary_is_left_out_and_everything_else_counts() -> None:
    form = digest(BODY, FORM + "cut")
    assert form == digest(BODY.replace(b"cut", b"another"), FORM + "another")
    assert form != digest(BODY.replace(b"scan", b"page"), FORM + "cut")
    assert form != digest(BODY, FORM + "cut", gradcam="always")
    assert digest(b"x") != digest(b"y")
    assert digest(b"x") != digest(b"x", "application/x-zip")
