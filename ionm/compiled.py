"""The compiled file, where this machine has it, and the one switch between it and its Python twins.

Whatever is compiled has a twin in Python that gives the same bits: the twin is the definition, and
does the work where a compiler or Python's headers were missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TypeVar, cast

from ionm.errors import SetupError

Form = TypeVar("Form", bound=Callable[..., object])

kernels: ModuleType | None
try:
    kernels = import_module("ionm._kernels")  # optional: a machine without a compiler lacks it
except ImportError:
    kernels = None


def paths() -> tuple[str, ...]:
    """The ways in which this machine can compute a cascade, fastest first; "scipy" is the last."""
    return (*kernels.PATHS, "scipy") if kernels else ("scipy",)


def kernel() -> str:
    """Name of the path in use: "avx512", "avx2", "sse2", "neon", "c" or "scipy (no compiled kernel)".

    The environment variable IONM_KERNEL forces one of `paths`.

    Raises
    ------
    SetupError
        If IONM_KERNEL asks for a path that this machine lacks.
    """
    path = choose(None)
    return path if path != "scipy" or kernels else "scipy (no compiled kernel)"


def choose(path: str | None) -> str:
    """The path asked for by argument, by IONM_KERNEL, or the fastest."""
    wanted = path or os.environ.get("IONM_KERNEL")
    if not wanted:
        return paths()[0]
    if wanted not in paths():
        raise SetupError(f"kernel {wanted!r} is not available here, choose among: {', '.join(paths())}")
    return wanted


def fastest(twin: Form) -> Form:
    """The compiled form of a function or class, by its name; the Python form itself on the scipy path."""
    if kernels is None or choose(None) == "scipy":
        return twin
    return cast(Form, getattr(kernels, twin.__name__))
