"""Uploads: which files in the blob store belong to one."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.models import Upload


def named_blobs(session: Session, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that an upload's row names."""
    return set(session.scalars(select(Upload.blob_key).where(Upload.blob_key.in_(keys))))
