"""The one thing pyproject.toml cannot say: the compiled file is optional."""

import sys
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "ionm/_kernels.c"

kernels = Extension(
    "ionm._kernels",
    sources=[SOURCE],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],  # one binary for CPython 3.11 and newer
    py_limited_api=True,
    # a fused multiply-add rounds once where scipy's sosfilt rounds twice
    extra_compile_args=["/O2"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"],
    libraries=[] if sys.platform == "win32" else ["m"],
    optional=True,  # without a compiler or Python's headers the scipy path does the same work, bit for bit
)

setup(
    ext_modules=[kernels] if Path(SOURCE).exists() else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
