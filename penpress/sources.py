"""From the paths on the command line to what is to be classified: image files with the names that results call them by, and
zips that go up as they are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from penpress.errors import NoSuchPath, NothingToDo
from store.archives import display_name

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".webp", ".gif", ".bmp", ".pdf"]
)
_NAMED_ENDINGS = 6


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An image or PDF: where it lies, and what results call it (unique, with forward slashes)."""

    path: Path
    name: str


@dataclass(slots=True)
class Sources:
    """What to classify, in the order given; the files of folders are sorted."""

    files: list[SourceFile] = field(default_factory=list)
    zips: list[Path] = field(default_factory=list)
    overlooked: list[str] = field(default_factory=list)
    """A sentence for each folder that holds files which are no images."""

    @property
    def zip_prefixes(self) -> list[str]:
        """What the names from each zip begin with: nothing where one zip is all there is, else the zip's name and a slash."""
        if not self.files and len(self.zips) == 1:
            return [""]
        return [f"{name}/" for name in _unique_names(path.name for path in self.zips)]


def find_sources(paths: Sequence[Path]) -> Sources:
    """Files as they are, folders recursively without hidden entries, zips. Raises `NoSuchPath` or `NothingToDo`."""
    sources = Sources()
    for path in paths:
        if path.is_dir():
            files, overlooked = _folder_files(path)
            sources.files.extend(files)
            sources.overlooked.extend(overlooked)
        elif not path.exists():
            raise NoSuchPath(f"There is no file or folder {path}.")
        elif path.suffix.lower() == ".zip":
            sources.zips.append(path)
        else:
            sources.files.append(SourceFile(path, _label(path)))
    names = _unique_names(file.name for file in sources.files)
    sources.files = [SourceFile(file.path, name) for file, name in zip(sources.files, names, strict=True)]
    return sources


def _folder_files(folder: Path) -> tuple[list[SourceFile], list[str]]:
    """The images in `folder`, and a sentence about its other files, if there are any. Raises `NothingToDo`."""
    label = PurePosixPath(_label(folder))
    files: list[SourceFile] = []
    others: Counter[str] = Counter()
    for path in _walk(folder):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            files.append(SourceFile(path, str(label / path.relative_to(folder).as_posix())))
        else:
            others[suffix] += 1
    if not files:
        hint = "; name the zips in it to classify them" if others[".zip"] else ""
        raise NothingToDo(f"There are no images in the folder {folder}{hint}.")
    return files, [_overlooked(folder, others)] if others else []


def _overlooked(folder: Path, others: Counter[str]) -> str:
    kinds = [f"{count} {display_name(suffix) or 'without ending'}" for suffix, count in others.most_common(_NAMED_ENDINGS)]
    total = others.total()
    if rest := total - sum(count for _, count in others.most_common(_NAMED_ENDINGS)):
        kinds.append(f"{rest} others")
    subject = "1 file in {} was" if total == 1 else f"{total} files in {{}} were"
    return f"{subject.format(folder)} not looked at: {', '.join(kinds)}."


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():  # a link upwards would never end
                yield from _walk(entry)
        elif entry.is_file():
            yield entry


def _label(path: Path) -> str:
    """What results call `path`: as it was given, or its last part where that would be absolute, hidden or lead upwards."""
    given = PurePosixPath(path.as_posix())
    if given.is_absolute() or any(part.startswith(".") for part in given.parts):
        return path.resolve().name.lstrip(".")
    return str(given) if given.parts else ""


def _unique_names(names: Iterable[str]) -> Iterator[str]:
    """The names, fit to be shown, and numbered where they are equal: 1.jpg, 1 (2).jpg."""
    seen: Counter[str] = Counter()
    for name in names:
        shown = display_name(name)
        seen[shown] += 1
        count = seen[shown]
        path = PurePosixPath(shown)
        yield shown if count == 1 else str(path.with_name(f"{path.stem} ({count}){path.suffix}"))
