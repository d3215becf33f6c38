"""How fast a saved model reads images: from files beside its own speed, and over HTTP on this machine.

    python benchmarks/serving.py [--images 400] [--requests 200] [--clients 4]

Models: the reports' perceptron on 256 x 256 pixels, and ResNet-18 on 96 x 96. Files are JPEG of 224 x 224 pixels. The
model's own speed is that of prepared pixels in memory, with the same threads; the two are measured in turns, and their
ratio is the median of the turns' ratios. The load on HTTP is bounded and stays on this machine.
"""

from __future__ import annotations

import argparse
import io
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from doubleread.analysis import analyse
from doubleread.images.phantom import PhantomSource, PhantomSpec
from doubleread.model_file import export_model, load_model, read_images, write_model
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import parse_study

TURNS = 5
MODELS = {
    "mlp 256": (256, {"name": "mlp", "hidden": [64, 64]}),
    "resnet18 96": (96, "resnet18"),
}


def saved_model(folder: Path, name: str) -> Path:
    """Train a model for one epoch, which is enough for its speed, and return where it is saved."""
    size, model = MODELS[name]
    study = parse_study(
        {
            "study": "serving",
            "question": "How fast is it?",
            "data": {
                "source": {"name": "phantom", "train_per_class": 40, "val_per_class": 0, "test_per_class": 10},
                "positive": "PNEUMONIA",
                "image_size": size,
                "intensity": "unit",
                "split": {"val": 0.25, "by": "case", "seed": 0},
                "subject": "case",
                "allow_leakage": "only speed is measured",
            },
            "base": {
                "model": model,
                "loss": "bce",
                "optimizer": {"name": "adam", "lr": 1e-3},
                "schedule": "constant",
                "batch_size": 10,
                "epochs": 1,
            },
            "seeds": 1,
            "experiments": {"batch": {"factors": {"batch_size": [10, 20]}}},
        },
        place="benchmark",
    )
    with open_store(folder / "runs", write=True) as store:
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    with open_store(folder / "runs") as store:
        found = export_model(analyse(study, store), store, "batch/10")
    write_model(folder / "model.zip", found.predictor.document, found.weights)
    return folder / "model.zip"


def jpegs(folder: Path, number: int) -> list[Path]:
    """Write films of the phantom as JPEG; return the files."""
    source = PhantomSource(PhantomSpec(size=224, train_per_class=(number + 1) // 2, val_per_class=0, test_per_class=1))
    paths = []
    for place in range(number):
        paths.append(folder / f"{place:05d}.jpg")
        Image.fromarray(source.read(place)).save(paths[-1], quality=92)
    return paths


def from_files(path: Path, files: list[Path]) -> dict[str, float]:
    """Return images a second from files and of the model alone, and the median ratio of the turns."""
    predictor = load_model(path)
    prepared = np.stack([predictor.prepared(one.read_bytes()) for one in files])
    predictor.predictions(prepared)
    ours, own, ratios = [], [], []
    for _ in range(TURNS):
        start = time.perf_counter()
        done = sum(answer.error is None for answer in read_images(predictor, files))
        middle = time.perf_counter()
        predictor.logits(prepared)
        end = time.perf_counter()
        assert done == len(files), "every image is read"
        ours.append(len(files) / (middle - start))
        own.append(len(files) / (end - middle))
        ratios.append(ours[-1] / own[-1])
    return {
        "images_per_second": statistics.median(ours),
        "of_the_model_alone": statistics.median(own),
        "ratio": statistics.median(ratios),
    }


def over_http(path: Path, files: list[Path], number: int, clients: int, at_once: int) -> dict[str, float]:
    """Return the time that answers take, in milliseconds, and images a second, of so many requests by some clients."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    contents = [one.read_bytes() for one in files[:at_once]]
    words = [sys.executable, "-m", "doubleread", "serve", "--model", str(path), "--port", str(port)]
    with subprocess.Popen([*words, "--store", str(path.parent / "none")], stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address)
            ask = lambda _: _asked(address, contents)  # noqa: E731
            ask(0)
            start = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                taken = sorted(pool.map(ask, range(number)))
            seconds = time.perf_counter() - start
        finally:
            process.terminate()
    return {
        "p50_ms": 1000 * taken[len(taken) // 2],
        "p95_ms": 1000 * taken[int(0.95 * len(taken))],
        "images_per_second": number * at_once / seconds,
    }


def _wait(address: str) -> None:
    for _ in range(600):
        try:
            requests.get(f"{address}/healthz", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError("the server does not answer")


def _asked(address: str, contents: list[bytes]) -> float:
    start = time.perf_counter()
    parts = [("images", (f"{place}.jpg", io.BytesIO(content))) for place, content in enumerate(contents)]
    answer = requests.post(f"{address}/predict", files=parts, timeout=120)
    answer.raise_for_status()
    assert all(one["error"] is None for one in answer.json()["predictions"]), "every image is read"
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    found = {}
    for name in MODELS:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            (folder / "files").mkdir()
            path, files = saved_model(folder, name), jpegs(folder / "files", options.images)
            found[name] = {
                "files": from_files(path, files),
                **{
                    f"http, {n} at once": over_http(path, files, options.requests // n, options.clients, n)
                    for n in (1, 8)
                },
            }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
