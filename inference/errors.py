"""What can be wrong with a file that should hold images, and with a model bundle.

    ImageError
      EmptyFile  FileTooLarge  NotAnImage  TruncatedImage  BrokenImage
      TooManyPixels  TooManyPages  EncryptedDocument  NoSuchPage  NotEnoughMemory  ProcessLost
    BundleError
      BundleMissing  BundleInvalid  ChecksumMismatch

The docstring of a class is its message; `reason` is stable and goes into result rows and API answers.
"""

from typing import ClassVar


class ImageError(Exception):
    """The file could not be read as an image."""

    reason: ClassVar[str] = "unreadable_image"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class EmptyFile(ImageError):
    """The file is empty (0 bytes)."""

    reason = "empty_file"


class FileTooLarge(ImageError):
    """The file has more bytes than allowed for one item."""

    reason = "file_too_large"


class NotAnImage(ImageError):
    """The file is none of JPEG, PNG, TIFF, JPEG 2000, WebP, GIF, BMP or PDF."""

    reason = "not_an_image"


class TruncatedImage(ImageError):
    """The file ends before its image does."""

    reason = "truncated_image"


class BrokenImage(ImageError):
    """The file looks like an image but cannot be decoded."""

    reason = "broken_image"


class TooManyPixels(ImageError):
    """The image has more pixels than allowed; it was not decoded."""

    reason = "too_many_pixels"


class TooManyPages(ImageError):
    """The document has more pages than allowed."""

    reason = "too_many_pages"


class EncryptedDocument(ImageError):
    """The document is encrypted and needs a password."""

    reason = "encrypted_document"


class NoSuchPage(ImageError):
    """The document has no page of that number."""

    reason = "no_such_page"


class NotEnoughMemory(ImageError):
    """There was not enough memory to decode the image."""

    reason = "not_enough_memory"


class ProcessLost(ImageError):
    """The process that read the file was lost over it."""

    reason = "worker_lost"


class BundleError(Exception):
    """The model bundle cannot be used."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class BundleMissing(BundleError):
    """There is no model bundle in that folder."""


class BundleInvalid(BundleError):
    """The bundle's manifest is not valid."""


class ChecksumMismatch(BundleError):
    """A file of the bundle is not the one that its manifest describes."""
