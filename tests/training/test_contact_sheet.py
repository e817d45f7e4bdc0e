import numpy as np

from inference.bundle import Bundle
from training import contact_sheet as sheets
from training.contact_sheet import contact_sheet, worst_mistakes
from training.evaluate import Evaluation


def test_the_surest_mistakes_come_first(exported_model: Bundle, evaluation: Evaluation) -> None:
    first, second = worst_mistakes(exported_model, evaluation, most=2)
    # The places 12 and 11 of the fixture: a printed image and a handwritten one.
    assert first.origin == "test/printed/0.png  (example.org/a)"
    assert first.heading == "printed, taken for handwritten with 0.8035"
    assert second.origin == "test/handwritten/11.png  (example.org/a)"
    assert second.heading == "handwritten, taken for printed with 0.7865"


def test_the_map_is_drawn_over_the_image(exported_model: Bundle, evaluation: Evaluation) -> None:
    for mistake in worst_mistakes(exported_model, evaluation):
        assert mistake.image.size == mistake.overlaid.size == (336, 84)
        assert (np.asarray(mistake.image) != np.asarray(mistake.overlaid)).any()


def test_a_sheet_has_room_for_every_mistake(exported_model: Bundle, evaluation: Evaluation) -> None:
    two, three = (contact_sheet(exported_model, evaluation, "test", most=most) for most in (2, 3))
    assert two.width == three.width
    assert three.height > two.height
    assert (np.asarray(three)[two.height :] < 128).any(), "the third is drawn in the second row"


def test_a_model_without_mistakes_has_a_sheet_too(exported_model: Bundle, evaluation: Evaluation) -> None:
    perfect = Evaluation(evaluation.samples, np.eye(2)[evaluation.targets])
    assert worst_mistakes(exported_model, perfect) == []
    assert contact_sheet(exported_model, perfect, "test").height < 100


def test_a_long_name_keeps_its_end() -> None:
    font = sheets._font(12)
    shortened = sheets._shortened("a/" * 200 + "0012.png", font)
    assert shortened.startswith("…")
    assert shortened.endswith("0012.png")
    assert font.getlength(shortened) <= sheets._CELL_WIDTH
