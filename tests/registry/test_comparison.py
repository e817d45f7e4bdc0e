"""Two models on the same images."""

import pytest

from inference.bundle import load_bundle
from inference.classifier import Classifier
from registry.comparison import agreement, compare, open_model
from registry.errors import NotComparable
from tests.pictures import png
from tests.registry.conftest import MakeBundle

BLACK, GREY = png(0), png(150)
HANDWRITTEN, PRINTED = 0, 1


@pytest.fixture
def models(make_bundle: MakeBundle) -> tuple[Classifier, Classifier]:
    """The first calls black handwritten and grey printed, the second both printed."""
    return tuple(open_model(load_bundle(make_bundle(name, bias=bias))) for name, bias in (("a", -1.0), ("b", 1.0)))


def test_both_are_measured_and_their_disagreements_listed(models: tuple[Classifier, Classifier]) -> None:
    images = [
        ("a.png", BLACK, HANDWRITTEN),
        ("b.png", BLACK, HANDWRITTEN),
        ("c.png", BLACK, PRINTED),
        ("d.png", GREY, PRINTED),
        ("e.png", GREY, HANDWRITTEN),
        ("f.png", b"no image", PRINTED),
    ]
    found = compare(*models, images)
    assert (found.images, found.first_right, found.second_right) == (5, 3, 2)
    assert (found.only_first_right, found.only_second_right) == (2, 1)
    assert found.agreement == pytest.approx(0.4)
    assert found.p_value == pytest.approx(1.0)
    assert found.unreadable == ("f.png",)
    assert [(one.name, one.truth) for one in found.disagreements] == [
        ("a.png", "handwritten"),
        ("b.png", "handwritten"),
        ("c.png", "printed"),
    ]
    first = found.disagreements[0]
    assert (first.first.predicted_class, first.second.predicted_class) == ("handwritten", "printed")
    assert first.first.confidence == pytest.approx(0.731, abs=0.001)


def test_mcnemar_finds_what_is_no_chance(models: tuple[Classifier, Classifier]) -> None:
    found = compare(*models, [(f"{number}.png", BLACK, HANDWRITTEN) for number in range(10)])
    assert (found.only_first_right, found.only_second_right) == (10, 0)
    assert found.p_value == pytest.approx(2 * 0.5**10)


def test_a_model_is_like_itself(models: tuple[Classifier, Classifier]) -> None:
    found = compare(models[0], models[0], [("a.png", BLACK, HANDWRITTEN)])
    assert (found.agreement, found.p_value, found.disagreements) == (1.0, 1.0, ())


def test_agreement_needs_no_labels(models: tuple[Classifier, Classifier]) -> None:
    found = agreement(*models, [("a.png", BLACK), ("b.png", GREY), ("c.png", b"")])
    assert (found.images, found.alike, found.unreadable) == (2, 1, ("c.png",))


def test_models_of_other_classes_are_not_compared(models: tuple[Classifier, Classifier], make_bundle: MakeBundle) -> None:
    other = open_model(load_bundle(make_bundle("other", labels=("blank", "text"))))
    with pytest.raises(NotComparable, match="Their classes differ"):
        compare(models[0], other, [])
    with pytest.raises(NotComparable, match="Their classes differ"):
        agreement(models[0], other, [])


def test_nothing_to_compare_by(models: tuple[Classifier, Classifier]) -> None:
    with pytest.raises(NotComparable, match="no image that could be read"):
        compare(*models, [("a.png", b"", PRINTED)])
