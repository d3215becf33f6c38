"""Our one compiled routine: found, compiled at first use for the processor at hand, kept, checked, loaded.

It needs a C compiler and an x86-64 processor with AVX2 under Linux; where one is missing, PyTorch's own operations do
the same work (`tiled_layer`). Compiled at first use and not at installation, because it is made for one processor: an
environment may be copied to another machine.
"""

from __future__ import annotations

import ctypes
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import resources
from os import environ
from pathlib import Path

import numpy as np

from doubleread.files import cache_folder, hash_of, read_bytes, sha256, write_bytes

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-ffp-contract=fast", "-shared", "-fPIC")
SOURCES = ("perceptron.c", "first_layer.h")
COMPILE_SECONDS = 120
BLOCK = 64
ALIGNMENT = 64
VECTORS = (1, 2, 4)
ADAM, ADAMW, SGD = range(3)
_Pointer = ctypes.c_void_p


class Update(ctypes.Structure):
    """`update_t` of the C source."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "nesterov")),
        *(
            (name, ctypes.c_float)
            for name in ("rate", "keep1", "beta2", "keep2", "root", "eps", "decay", "shrink", "momentum")
        ),
    )


class Network(ctypes.Structure):
    """`network_t` of the C source; what its addresses point to is described there."""

    _fields_ = (
        *(
            (name, _Pointer)
            for name in (
                *("images", "labels", "widths", "pads", "first", "first_m", "first_v"),
                *("rest", "rest_m", "rest_v", "gradients", "scratch", "seen", "next"),
            )
        ),
        *((name, ctypes.c_int64) for name in ("pixels", "rest_size")),
        *((name, ctypes.c_int32) for name in ("layers", "nv", "bf16", "weighted")),
        *((name, ctypes.c_float) for name in ("shift", "factor")),
        ("class_weights", ctypes.c_float * 2),
    )


class Unavailable(Exception):
    """The compiled routine cannot be had here; the text is the reason."""


class Native:
    """The loaded routine; arrays are passed by their addresses."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self.train = library.train
        self.train.argtypes = [_Pointer, _Pointer, *[ctypes.c_int64] * 2, *[_Pointer] * 4]
        self.train.restype = ctypes.c_int64
        self.evaluate = library.evaluate
        self.evaluate.argtypes = [_Pointer, _Pointer, *[ctypes.c_int64] * 2, _Pointer]
        self.evaluate.restype = None
        self.scratch_bytes = library.scratch_bytes
        self.scratch_bytes.argtypes = [_Pointer, ctypes.c_int, ctypes.c_int64]
        self.scratch_bytes.restype = ctypes.c_int64
        self.lanes = int(library.lanes())
        self.has_bf16 = bool(library.has_bf16())

    def vectors_for(self, units: int) -> int:
        """Return how many vectors the chunks of a layer of so many units have: the fewest that hold them, or four."""
        return next((vectors for vectors in VECTORS if vectors * self.lanes >= units), VECTORS[-1])


@cache
def native() -> Native:
    """Return the routine.

    Raises:
        Unavailable: there is no compiler, or another processor.
    """
    try:
        return Native(_compiled())
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise Unavailable(f"the C compiler failed ({said[-1] if said else error.returncode})") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the compiled routine cannot be made ({error})") from error


@cache
def why_not() -> str | None:
    """Return why the routine cannot be had, or None where it can; the first call on a machine compiles it, 2 s."""
    try:
        native()
    except Unavailable as reason:
        return str(reason)
    return None


def is_available() -> bool:
    """Tell whether the routine can be had."""
    return why_not() is None


@cache
def compiler_version() -> str | None:
    """Return the first line of what the C compiler says of itself, or None without one."""
    try:
        return _version(_compiler())
    except (Unavailable, OSError, subprocess.SubprocessError):
        return None


def processor_key() -> str:
    """Return a hash of the processor's name and instruction sets: equal where the same machine code runs.

    Raises:
        Unavailable: it is no x86-64 processor with AVX2 under Linux.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Unavailable(f"{platform.system()} on {platform.machine()}")
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    facts = [line for line in text.split("\n\n", 1)[0].splitlines() if line.startswith(("model name", "flags"))]
    if " avx2 " not in " ".join(facts) + " ":
        raise Unavailable("a processor without AVX2")
    return sha256("\n".join(facts).encode())[:16]


def _compiler() -> list[str]:
    command = shlex.split(environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise Unavailable(f"no C compiler ({command[0]})")
    return command


def _version(command: list[str]) -> str:
    done = subprocess.run([*command, "--version"], capture_output=True, check=True, timeout=COMPILE_SECONDS)
    return done.stdout.decode(errors="replace").partition("\n")[0]


def _compiled() -> Path:
    """Return the library for this source, compiler and processor, compiled if it is not there yet."""
    folder = resources.files("doubleread.training") / "kernels"
    sources = {name: (folder / name).read_bytes() for name in SOURCES}
    processor, command = processor_key(), _compiler()
    key = hash_of([*map(sha256, sources.values()), processor, _version(command), *command, *FLAGS])[:20]
    path = cache_folder() / "kernels" / f"perceptron-{key}.so"
    if not path.is_file():
        with tempfile.TemporaryDirectory() as place:
            for name, content in sources.items():
                Path(place, name).write_bytes(content)
            built = Path(place, "perceptron.so")
            line = [*command, *FLAGS, "-o", str(built), str(Path(place, SOURCES[0])), "-lm"]
            subprocess.run(line, capture_output=True, check=True, timeout=COMPILE_SECONDS)
            write_bytes(path, read_bytes(built, 2**24))
    return path


def aligned(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Return an array of zeros whose first byte stands at a multiple of 64, as the routine's vectors need it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
