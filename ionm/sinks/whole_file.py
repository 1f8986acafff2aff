"""A text file that appears under its name only when it is whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from ionm.errors import InputError


class WholeFile:
    """A context manager: written beside its place, moved there at a clean end, else removed.

    Parameters
    ----------
    path
        Where it shall stand.

    Raises
    ------
    InputError
        If nothing can be written there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            if path.is_dir():
                raise InputError(f"{path}: is a folder, expected the name of a file to write")
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._part = Path(name)
        self._file = os.fdopen(handle, "w", encoding="utf-8", newline="\n")

    def write(self, text: str) -> None:
        """Add some text."""
        self._file.write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                mask = os.umask(0)
                os.umask(mask)
                self._part.chmod(0o666 & ~mask)
                self._file.close()
                self._part.replace(self._path)
        finally:
            try:
                self._file.close()
            finally:
                self._part.unlink(missing_ok=True)
