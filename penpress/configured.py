"""The settings as commands read them: a wrong one is a sentence that names its variable."""

from typing import TYPE_CHECKING

from penpress.errors import PenpressError

if TYPE_CHECKING:
    from store.settings import Settings


def read_settings() -> "Settings":
    """From the environment and `.env`. Raises `PenpressError`. What it needs is imported when it runs."""
    from pydantic import ValidationError

    from store.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # it is about the environment as a whole
            raise PenpressError(first["msg"]) from error
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"PENPRESS_{name.upper()}"
        raise PenpressError(f"The setting {variable} is wrong: {first['msg']}.") from error
