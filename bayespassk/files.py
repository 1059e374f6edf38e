"""Files are written whole or not at all."""

import os
from pathlib import Path

from bayespassk.errors import InputError

__all__ = ["write"]


def write(path: str | os.PathLike[str], text: str | bytes) -> None:
    """Write `text` to a file, whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode() if isinstance(text, str) else text)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
