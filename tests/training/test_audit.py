import numpy as np
import pytest

from training.audit import FloatArray, Located, audit_labels, out_of_fold
from training.data import Sample
from training.errors import TooFewDocuments

LABELS = ("handwritten", "printed")
DOCUMENTS = 30


def make_images(wrong: set[int] = frozenset()) -> tuple[list[Located], FloatArray]:  # type: ignore[assignment]  # immutable
    """Ten images of each document, whose features tell the classes apart; those of `wrong` have the other label."""
    chance = np.random.default_rng(0)
    images, features = [], []
    for number in range(10 * DOCUMENTS):
        document = number // 10
        truth = document % 2
        features.append(chance.normal(size=12) + 3 * truth)
        target = 1 - truth if number in wrong else truth
        images.append(Located("train", _sample(number, target, f"document {document}")))
    return images, np.array(features, dtype=np.float32)


def _sample(number: int, target: int, group: str) -> Sample:
    return Sample(
        table=None, row=number, target=target, name=f"{number}.png", group=group, source="example.org", century="", sha256=""
    )


def test_planted_label_errors_are_found() -> None:
    wrong = {5, 17, 98, 150, 271}
    images, features = make_images(wrong)
    audit = audit_labels(images, features, LABELS, folds=5, seed=0)
    assert {suspect.image.sample.row for suspect in audit.suspects} == wrong
    assert all(suspect.label != suspect.suggested for suspect in audit.suspects)
    doubts = [suspect.probabilities[suspect.label] for suspect in audit.suspects]
    assert doubts == sorted(doubts)
    assert audit.agreement == pytest.approx(295 / 300)


def test_a_document_that_is_labelled_wrongly_as_a_whole_is_found() -> None:
    wrong = set(range(40, 50))
    images, features = make_images(wrong)
    found = {suspect.image.sample.row for suspect in audit_labels(images, features, LABELS, folds=5, seed=0).suspects}
    assert found == wrong


def test_good_labels_raise_no_suspicion() -> None:
    audit = audit_labels(*make_images(), LABELS, folds=5, seed=0)
    assert (audit.suspects, audit.agreement) == ([], 1.0)


def test_no_image_is_judged_by_its_own_document() -> None:
    """Features that tell nothing but the document would be remembered, were a document torn apart."""
    documents = np.repeat(np.arange(DOCUMENTS), 10)
    targets = documents % 2
    features = np.eye(DOCUMENTS, dtype=np.float32)[documents] * 5
    groups = [str(document) for document in documents]
    predicted = out_of_fold(features, targets, groups, folds=5, seed=0).argmax(axis=1)
    assert (predicted == targets).mean() < 0.7


@pytest.mark.parametrize(("documents", "sentence"), [(2, "too few for 5 folds"), (5, "A class has too few documents")])
def test_too_few_documents_are_refused(documents: int, sentence: str) -> None:
    images, features = make_images()
    chosen = [number for number in range(len(images)) if number // 10 in (0, *range(3, 2 * documents, 2))][: 10 * documents]
    with pytest.raises(TooFewDocuments, match=sentence):
        audit_labels([images[number] for number in chosen], features[chosen], LABELS, folds=5, seed=0)
