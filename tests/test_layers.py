"""The layers: imports point one way, heavy things load late, nothing global is random, nothing is unpickled."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "doubleread"
LAYERS = [
    {"nouns", "errors", "late", "seeds", "processes", "disk", "markdown"},
    {"files", "metrics"},
    {"images", "recipe", "models", "stats"},
    {"study", "dataset", "training"},
    {"store", "engines"},
    {"worker"},
    {"runner", "analysis"},
    {"report", "model_file", "tracking"},
    {"server"},
    {"api"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Return every module that is imported, or will be when something of it is first used."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node, node.module))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "late":
            found.append((node, ast.literal_eval(node.args[0])))
    return found


def inner_imports(tree: ast.AST) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for function in functions for _, name in imports_of(function)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    mine = package_of(path)
    if mine in ("__init__", "__main__"):
        return
    assert mine in LEVEL, f"{mine} stands in no layer"
    for _, name in imports_of(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] != "doubleread" or len(parts) == 1 or parts[1] == mine:
            continue
        assert LEVEL[parts[1]] < LEVEL[mine], f"{mine} (layer {LEVEL[mine]}) imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_command_line_imports_inside_functions(path):
    if path in (SOURCE / "cli" / "__init__.py", SOURCE / "cli" / "data_app.py"):
        return
    assert inner_imports(ast.parse(path.read_text())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_sizes(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno + 1 <= 45, f"{node.name} is too long"


def attribute_calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_nothing_draws_from_a_global_generator():
    for path in FILES:
        calls = attribute_calls(ast.parse(path.read_text()))
        drawn = {c for c in calls if c.startswith(("np.random.", "random.")) and not c.split(".")[-1][0].isupper()}
        assert drawn == set(), f"{path}: {drawn}"
        if path.name != "randomness.py":
            assert "torch.manual_seed" not in calls, f"{path} seeds torch"


WRITES = (".write_text", ".write_bytes", ".rename", ".unlink", ".rmdir", "os.rename", "os.replace", "os.remove",
          "os.unlink", "os.fsync", "os.link", "shutil.move", "shutil.copy", "shutil.rmtree", "np.save", "np.savez",
          ".to_csv", ".savefig", ".tofile", "open_memmap")  # fmt: skip
MAY_WRITE = {
    "disk.py": {"os.replace", "os.fsync", "os.link", "path.unlink", "shutil.rmtree"},
    # into memory, then through `files`
    "store/artifacts.py": {"np.savez"},
    "report/figures.py": {"figure.savefig"},
    "report/tables.py": {"neutralised(table).to_csv"},
    # a draft that nobody reads before it is whole, made durable and renamed
    "dataset/prepare.py": {"np.lib.format.open_memmap", "shutil.rmtree"},
    "dataset/audit/measured.py": {"np.savez"},
    # what the compiler reads, in a folder that vanishes
    "training/native.py": {"Path(place, name).write_bytes"},
}
OPENED_FOR_WRITING = {
    "disk.py": 1,
    # progress and signs of life, which may be lost
    "worker/desk.py": 2,
    "store/board.py": 1,
    # a word to the system
    "processes.py": 1,
    "dataset/prepare.py": 2,
    # appended to, and trusted only when its hash is right
    "images/fetch.py": 1,
}


def test_every_durable_write_goes_through_one_place():
    for path in FILES:
        name, tree = str(path.relative_to(SOURCE)), ast.parse(path.read_text())
        found = {c for c in attribute_calls(tree) if c.endswith(WRITES) and not c.startswith(("disk.DISK", "files."))}
        assert found == MAY_WRITE.get(name, set()), name
        opens = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] == "open"]
        modes = [ast.literal_eval(a) for n in opens for a in n.args if isinstance(a, ast.Constant)]
        writing = [mode for mode in modes if isinstance(mode, str) and set(mode) & set("wxa+") and len(mode) < 4]
        assert len(writing) == OPENED_FOR_WRITING.get(name, 0), f"{name}: {writing}"


def test_no_clock_that_someone_can_set_decides_anything():
    for path in FILES:
        calls = attribute_calls(ast.parse(path.read_text()))
        assert not calls & {"time.time", "time.time_ns", "datetime.utcnow", "datetime.today"}, path
        if path != SOURCE / "store" / "store.py":
            assert "datetime.now" not in calls, f"{path}: the time is `store.now`"


def test_nothing_is_unpickled():
    forbidden = {"torch.load", "pickle.load", "pickle.loads", "joblib.load", "pd.read_pickle"}
    for path in FILES:
        tree = ast.parse(path.read_text())
        assert not attribute_calls(tree) & forbidden, path
        keywords = [k for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords]
        assert not any(k.arg == "allow_pickle" and getattr(k.value, "value", None) for k in keywords), path


LARGE = {"pandas", "statsmodels", "matplotlib", "sklearn", "scipy.stats", "scipy.special", "pydicom"}
"""What takes longer to load than all of ours, and is not needed to say what is wrong with a study file."""


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("doubleread", {"torch", "numpy", "pandas", "typer"}),
        ("doubleread.cli", {"torch", "numpy", "pandas", "matplotlib"}),
        ("doubleread.recipe", {"torch"}),
        ("doubleread.study", {"torch", *LARGE}),
        ("doubleread.store", {"torch", "scipy"}),
        ("doubleread.worker", {"rich", "torch._dynamo", *LARGE}),
        ("doubleread.report", {"torch", *LARGE}),
        ("doubleread.api", {"torch", *LARGE}),
        ("doubleread.cli.train", {"torch", *LARGE}),
        ("doubleread.cli.check", {"torch", *LARGE}),
        ("doubleread.cli.report", {"torch", *LARGE}),
        ("doubleread.cli.serve", {"torch", *LARGE, "captum", "onnxscript"}),
        ("doubleread.cli.status", {"torch", *LARGE}),
        ("doubleread.worker.server", {"rich", "torch._dynamo", *LARGE} - {"scipy.stats", "scipy.special"}),
    ],
)
def test_light_modules_load_nothing_heavy(module, absent):
    code = f"import sys, {module}; print(*(set(sys.modules) & {absent!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


NAMED_OTHERWISE = {
    "PIL": "pillow",
    "ruamel": "ruamel.yaml",
    "sklearn": "scikit-learn",
    "libjpeg": "pylibjpeg-libjpeg",
    "openjpeg": "pylibjpeg-openjpeg",
}


EXTRAS = {
    "server/": {"fastapi", "starlette", "uvicorn"},
    "engines/batch.py": {"submitit"},
    "engines/ray_cluster.py": {"ray"},
    "engines/ray_connection.py": {"ray"},
    "engines/sbatch.py": {"submitit"},
    "images/dicom_library.py": {"pydicom", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg"},
    "images/table.py": {"pyarrow"},
    "model_file/onnx_file.py": {"onnxruntime", "onnxscript"},
    "model_file/saliency.py": {"captum"},
    "tracking/mlflow_tracker.py": {"mlflow"},
    "tracking/tensorboard_tracker.py": {"tensorboard"},
}
"""What may be missing: the pages are not loaded without it, a map and a tracker say how to get it."""


def test_what_the_package_imports_it_asks_for():
    """The tests' own environment has more than a user's."""
    project = tomllib.loads((SOURCE.parent.parent / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[<>=\[]", text)[0] for text in project["dependencies"]}
    for path in FILES:
        extra = next(
            (names for place, names in EXTRAS.items() if str(path.relative_to(SOURCE)).startswith(place)), set()
        )
        for _, name in imports_of(ast.parse(path.read_text())):
            top = name.split(".")[0]
            if top in ("doubleread", "pydantic_core") or top in sys.stdlib_module_names:
                continue
            assert NAMED_OTHERWISE.get(top, top) in asked | extra, f"{path.relative_to(SOURCE)} imports {name}"
