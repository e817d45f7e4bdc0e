"""Ask the gates about a version: fetch its bundle and the one in production, and put both before each gate."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference.bundle import Bundle
from inference.errors import BundleError
from registry.catalog import Catalog, Version
from registry.comparison import Agreement, agreement, open_model
from registry.errors import NoSample, NotComparable, PromotionRefused
from registry.fetching import fetched
from registry.gates import GATES, Contest, Limits, serving_objection, standing_aside

Sample = Iterable[tuple[str, bytes]]
"""Unlabelled images: the name and the bytes of each."""

_DEFAULTS = Limits()


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gates say of a version: the objection of each that has one, and why some stand aside.

    `agreement` is that with version `champion` in production, on the sample, where there were both.
    """

    objections: Mapping[str, str]
    aside: Mapping[str, str]
    champion: str | None
    agreement: Agreement | None

    @property
    def sentence(self) -> str:
        """The objections with the names of their gates; nothing if there are none."""
        return "; ".join(f"{gate}: {objection}" for gate, objection in self.objections.items())

    @property
    def agreement_sentence(self) -> str | None:
        """The agreement in words, if it was measured."""
        found = self.agreement
        return f"{found.alike} of {found.images} images are answered as by version {self.champion}" if found else None


def examine(
    catalog: Catalog, candidate: Version, holder: Version | None, *, limits: Limits = _DEFAULTS, sample: Sample | None = None
) -> Findings:
    """What every gate says of `candidate`, which is to replace `holder`.

    Raises a `BundleError` or `PromotionRefused` where its bundle cannot be served, which nobody can overrule, and
    `NoSample` where no image of the sample can be read.
    """
    with fetched(catalog, candidate) as bundle, _fetched_if_whole(catalog, holder) as champion:
        _refuse_unservable(candidate, bundle)
        contest = Contest(bundle, champion, holder.number if holder else None, limits)
        found = {name: objection for name, gate in GATES.items() if (objection := gate(contest))}
        return Findings(found, standing_aside(contest), contest.champion_version, _agreement(contest, sample))


def check_servable(catalog: Catalog, version: Version) -> None:
    """Raises a `BundleError` or `PromotionRefused` where the version's bundle cannot be served."""
    with fetched(catalog, version) as bundle:
        _refuse_unservable(version, bundle)


def sample_images(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files in `folder` and below, by their names in it; hidden ones are left out. Raises `NoSample`."""
    paths = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    if not paths:
        raise NoSample(f"There are no images in {folder}.")
    return ((str(path.relative_to(folder)), path.read_bytes()) for path in paths)


@contextmanager
def _fetched_if_whole(catalog: Catalog, version: Version | None) -> Iterator[Bundle | None]:
    """A damaged version in production must not stand in the way of the one that is to replace it."""
    with ExitStack() as stack:
        try:
            bundle = stack.enter_context(fetched(catalog, version)) if version else None
        except BundleError:
            bundle = None
        yield bundle


def _refuse_unservable(version: Version, bundle: Bundle) -> None:
    objection = serving_objection(bundle)
    if objection:
        raise PromotionRefused(f"Version {version.number} cannot be served: {objection}")


def _agreement(contest: Contest, sample: Sample | None) -> Agreement | None:
    if contest.champion is None or sample is None:
        return None
    try:
        found = agreement(open_model(contest.candidate), open_model(contest.champion), sample)
    except NotComparable:
        return None
    if not found.images:
        raise NoSample("No image of the sample could be read.")
    return found
