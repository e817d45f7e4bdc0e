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


def find_sources(paths: Sequence[Path]) -> Sources:
    """Files as they are, folders recursively without hidden entries, zips. Raises `NoSuchPath` or `NothingToDo`."""
    sources = Sources()
    for path in paths:
        if path.is_dir():
            sources.files.extend(_folder_files(path))
        elif not path.exists():
            raise NoSuchPath(f"There is no file or folder {path}.")
        elif path.suffix.lower() == ".zip":
            sources.zips.append(path)
        else:
            sources.files.append(SourceFile(path, _label(path)))
    sources.files = list(_with_unique_names(sources.files))
    return sources


def _folder_files(folder: Path) -> list[SourceFile]:
    label = PurePosixPath(_label(folder))
    files = [
        SourceFile(path, str(label / path.relative_to(folder).as_posix()))
        for path in _walk(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not files:
        hint = "; name the zips in it to classify them" if any(p.suffix.lower() == ".zip" for p in _walk(folder)) else ""
        raise NothingToDo(f"There are no images in the folder {folder}{hint}.")
    return files


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


def _with_unique_names(files: Iterable[SourceFile]) -> Iterator[SourceFile]:
    seen: Counter[str] = Counter()
    for file in files:
        shown = display_name(file.name)
        seen[shown] += 1
        count = seen[shown]
        if count == 1:
            yield SourceFile(file.path, shown)
            continue
        name = PurePosixPath(shown)
        yield SourceFile(file.path, str(name.with_name(f"{name.stem} ({count}){name.suffix}")))
