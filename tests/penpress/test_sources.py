import io
import os
import zipfile
from pathlib import Path

import pytest

from penpress.errors import NoSuchPath, NothingToDo
from penpress.sources import find_sources
from penpress.zipped import zip_file, zip_of_files


def names(*paths: Path | str) -> list[str]:
    return [file.name for file in find_sources([Path(path) for path in paths]).files]


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_is_walked_in_order_without_what_is_hidden(make_page) -> None:
    for name in ("scans/b.png", "scans/a/2.TIF", "scans/a/1.jpg", "scans/.trash/x.png", "scans/.y.png"):
        make_page(name)
    Path("scans/notes.txt").write_text("no image")
    assert names("scans") == ["scans/a/1.jpg", "scans/a/2.TIF", "scans/b.png"]


def test_a_link_upwards_does_not_go_round_for_ever(make_page) -> None:
    make_page("scans/a.png")
    Path("scans/up").symlink_to(Path("scans").absolute())
    assert names("scans") == ["scans/a.png"]


def test_names_are_as_given_but_never_lead_out_of_the_archive(make_page, tmp_path: Path) -> None:
    make_page("scans/a.png")
    assert names("scans/a.png") == ["scans/a.png"]
    assert names(tmp_path / "scans") == ["scans/a.png"]
    assert names("scans/../scans/a.png") == ["a.png"]
    assert names(".") == ["scans/a.png"]


def test_equal_names_are_told_apart(make_page, tmp_path: Path) -> None:
    paths = [make_page(f"{folder}/1.png") for folder in "abc"]
    assert names(*paths) == ["1.png", "1 (2).png", "1 (3).png"]


def test_zips_are_kept_apart_and_a_named_file_may_end_in_anything(make_page) -> None:
    make_page("odd.xyz")
    zipfile.ZipFile("a.zip", "w").close()
    sources = find_sources([Path("a.zip"), Path("odd.xyz")])
    assert sources.zips == [Path("a.zip")]
    assert [file.name for file in sources.files] == ["odd.xyz"]


def test_what_is_not_there_is_one_sentence() -> None:
    with pytest.raises(NoSuchPath, match=r"^There is no file or folder nowhere\.$"):
        find_sources([Path("nowhere")])


def test_a_folder_without_images_is_one_sentence() -> None:
    Path("empty").mkdir()
    with pytest.raises(NothingToDo, match=r"^There are no images in the folder empty\.$"):
        find_sources([Path("empty")])
    zipfile.ZipFile("empty/a.zip", "w").close()
    with pytest.raises(NothingToDo, match="name the zips in it"):
        find_sources([Path("empty")])


def test_the_zip_on_the_fly_has_the_size_that_it_says(make_page) -> None:
    make_page("scans/a.png")
    make_page("scans/größe ö.png")
    chunks, size = zip_of_files(find_sources([Path("scans")]).files)
    data = b"".join(chunks)
    assert len(data) == size
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["scans/a.png", "scans/größe ö.png"]
        assert archive.read("scans/a.png") == Path("scans/a.png").read_bytes()


def test_a_file_that_goes_away_is_one_sentence(make_page) -> None:
    page = make_page("a.png")
    files = find_sources([page]).files
    chunks, _ = zip_of_files(files)
    page.unlink()
    with pytest.raises(NoSuchPath, match=r"a\.png cannot be read"):
        b"".join(chunks)


def test_a_file_that_grows_is_one_sentence(make_page) -> None:
    page = make_page("a.png")
    chunks, _ = zip_of_files(find_sources([page]).files)
    page.write_bytes(page.read_bytes() * 2)
    with pytest.raises(NoSuchPath, match="changed while it was sent"):
        b"".join(chunks)


def test_an_error_without_a_name_does_not_say_none(make_page, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("penpress.zipped.ZipStream.add_path", fail)
    with pytest.raises(NoSuchPath, match=r"^A file cannot be read: Input/output error\.$"):
        zip_of_files(find_sources([make_page("a.png")]).files)


def test_a_zip_goes_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"x" * 3_000_000)
    chunks, size = zip_file(path)
    assert size == 3_000_000
    assert b"".join(chunks) == path.read_bytes()


def test_a_name_that_is_no_unicode_is_made_showable(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    (file,) = find_sources([tmp_path]).files
    assert file.name == f"{tmp_path.name}/caf\N{REPLACEMENT CHARACTER}.png"
    file.name.encode()
