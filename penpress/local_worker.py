"""What one process of `classify --local` does: read an item, run the model, give a result for each page."""

import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from inference.bundle import load_bundle
from inference.classifier import Classifier, Device
from inference.errors import FileTooLarge, ImageError
from inference.images import ImageLimits
from inference.items import Answer, PreparedPage, classify_pages, prepare_pages
from penpress.results import Result
from store.archives import ArchiveError, Refusal, open_archive, read_member

_NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The bundle in `directory`, known as `version`; `review_threshold`, if there is one, goes before the bundle's."""

    directory: Path
    version: str
    review_threshold: float | None


@dataclass(frozen=True, slots=True)
class LocalItem:
    """A file, or entry number `member` of the zip at `path`; `refusal` says why an entry must not be read."""

    path: Path
    name: str
    member: int | None = None
    refusal: Refusal | None = None


class LocalWorker:
    """A model in memory, and the limits of what it is fed."""

    def __init__(self, model: LocalModel, limits: ImageLimits, *, device: Device, threads: int) -> None:
        self._model, self._limits = model, limits
        self._classifier = Classifier(load_bundle(model.directory), device=device, threads=threads)
        self._open = ExitStack()
        self._open_path: Path | None = None
        self._open_archive: zipfile.ZipFile | None = None

    def classify(self, item: LocalItem) -> list[Result]:
        """A result for each page of `item`, at least one; an item that cannot be read is a result too."""
        if item.refusal is not None:
            status = "skipped" if item.refusal.is_junk else "failed"
            return [unclassified(item, item.refusal.reason, item.refusal.detail, status=status)]
        try:
            data = self._read(item)
        except OSError as error:
            return [unclassified(item, "unreadable_file", f"The file cannot be read: {error.strerror}.")]
        except (ArchiveError, ImageError) as error:
            return [unclassified(item, error.reason, str(error))]
        pages = prepare_pages(data, self._limits, self._classifier.spec)
        return [self._result(item, self._answer(page)) for page in pages]

    def close(self) -> None:
        """Close the zip that was read last."""
        self._open.close()
        self._open_archive = None

    def _read(self, item: LocalItem) -> bytes:
        if item.member is not None:
            return read_member(self._archive(item.path), item.member, max_item_bytes=self._limits.max_bytes)
        size = item.path.stat().st_size
        if size > self._limits.max_bytes:
            raise FileTooLarge(f"The file has {size} bytes; at most {self._limits.max_bytes} are allowed.")
        return item.path.read_bytes()

    def _archive(self, path: Path) -> zipfile.ZipFile:
        """The zip that was read last stays open: the directory of a large one takes as long to read as a dozen pages."""
        if self._open_archive is None or self._open_path != path:
            self.close()
            file = self._open.enter_context(path.open("rb"))
            self._open_archive = self._open.enter_context(open_archive(file, max_items=_NO_LIMIT))
            self._open_path = path
        return self._open_archive

    def _answer(self, page: PreparedPage) -> Answer:
        (answer,) = classify_pages(self._classifier, [page], review_threshold=self._model.review_threshold)
        return answer

    def _result(self, item: LocalItem, answer: Answer) -> Result:
        verdict = answer.result
        if isinstance(verdict, ImageError):
            return unclassified(item, verdict.reason, str(verdict), page=answer.page)
        return Result(
            file=item.name,
            page=answer.page,
            status="succeeded",
            predicted_class=verdict.predicted_class,
            confidence=verdict.confidence,
            probabilities=verdict.probabilities,
            needs_review=answer.review is not None,
            model_version=self._model.version,
            reason=answer.review,
            detail=None,
        )


def unclassified(item: LocalItem, reason: str, detail: str, *, page: int = 1, status: str = "failed") -> Result:
    """The result of a page that no model saw."""
    return Result(
        file=item.name,
        page=page,
        status=status,
        predicted_class=None,
        confidence=None,
        probabilities=None,
        needs_review=False,
        model_version=None,
        reason=reason,
        detail=detail,
    )
