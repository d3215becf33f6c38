"""What the pages and the interface answer, beside what the store and the command line say."""

import hashlib
import io
import json
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from doubleread.analysis import analyse
from doubleread.model_file import open_reader, saliency_of
from doubleread.nouns import State
from doubleread.server import Allowed, create_app, interface
from doubleread.server.serving import hosts_of
from doubleread.store import COLUMNS, Listing, list_runs, open_store
from doubleread.study import study_of
from tests.server.conftest import PORT, wait_for

VENDORED = {
    "htmx.min.js": "22283ef68cb7545914f0a88a1bdedc7256a703d1d580c1d255217d0a50d31313",
    "sse.min.js": "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136",
}


@pytest.fixture(scope="module")
def result(served_store):
    with open_store(served_store) as store:
        return analyse(study_of(store.study_document("small")), store)


def test_scripts_of_others_are_the_ones_that_were_published():
    for name, digest in VENDORED.items():
        content = (files("doubleread.server") / "static" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name


def test_the_list_of_studies(client):
    page = client.get("/").text
    assert 'href="/studies/small"' in page
    for name in ("report-a", "report-b", "strong"):
        assert f'action="/studies/{name}/start"' in page
    assert [study["name"] for study in client.get("/api/studies").json()] == ["small"]


def test_study_files_of_the_folder_can_be_started(client, tmp_path, served_store):
    with open_store(served_store) as store:
        raw = store.study_document("small")["file"]
    (tmp_path / "mine.yaml").write_text(json.dumps({**raw, "study": "mine"}))
    (tmp_path / "other.yaml").write_text("a: [1, 2]")
    page = client.get("/").text
    assert 'action="/studies/mine/start"' in page


def test_a_study_says_how_it_stands(client):
    now = client.get("/api/studies/small").json()
    assert now["runs"]["done"] == now["runs"]["planned"] == 4 * 6
    page = client.get("/studies/small").text
    assert "24 of 24 runs done" in page
    assert "Does the batch size matter?" in page


def test_verdicts_come_when_they_are_computed(client, result):
    found = wait_for(lambda: (text := client.get("/studies/small/verdicts").text) and "card" in text and text)
    assert result.claims[0].verdict.value in found


def test_the_report_comes_when_it_is_written(client):
    answer = wait_for(lambda: (a := client.get("/studies/small/report")) and "being written" not in a.text and a)
    assert answer.status_code == 200
    assert '<h3 id="study-small-verdicts">' in answer.text
    assert "script-src 'sha256-" in answer.headers["content-security-policy"]


def test_the_data_page_has_the_audit(client):
    page = wait_for(lambda: (text := client.get("/studies/small/data").text) and "looked at" not in text and text)
    assert "What was measured of the images" in page
    assert page.count("data:image/jpeg") >= 6


def rows_of(client, **query):
    return client.get("/api/studies/small/runs", params=query).json()


def test_runs_are_sorted_filtered_and_paged_by_the_database(client, result):
    every = rows_of(client, most=500)
    assert every["total"] == len(every["runs"]) == 5 * 6
    for column in COLUMNS:
        for descending in (False, True):
            found = [row[column] for row in rows_of(client, sort=column, descending=descending, most=500)["runs"]]
            assert found == sorted(found, reverse=descending), column
    some = rows_of(client, arm="BATCH/4", state="done", most=500)
    assert {row["arm"] for row in some["runs"]} == {"batch/4"}
    assert rows_of(client, state="failed")["total"] == 0
    pages = [rows_of(client, sort="val_loss", start=start, most=7)["runs"] for start in range(0, 30, 7)]
    assert [row for page in pages for row in page] == rows_of(client, sort="val_loss", most=500)["runs"]
    row = some["runs"][0]
    last = result.of("batch/4").done[0].epochs[-1]
    assert (row["val_loss"], row["epochs"]) == (last["val_loss"], 3)


@pytest.mark.parametrize("query", [{"sort": "run_id; DROP"}, {"state": "bored"}, {"start": -1}, {"most": 100_000}])
def test_a_listing_that_is_not_offered(client, query):
    assert client.get("/api/studies/small/runs", params=query).status_code == 422


def test_the_table_on_the_page_goes_on_where_the_listing_goes(client):
    page = client.get("/studies/small/runs?sort=seconds&descending=true").text
    assert 'aria-sort="descending"' in page
    assert client.get("/studies/small/runs?arm=&state=&sort=seed&descending=false&page=1").status_code == 200
    assert "<html" not in client.get("/studies/small/runs", headers={"hx-target": "runs"}).text


def test_a_run_says_everything(client, result):
    run = result.of("batch/4").done[1]
    found = client.get(f"/api/studies/small/runs/{run.run_id}").json()
    assert (found["arms"], found["seed"], found["state"]) == (["batch/4"], 1, State.DONE)
    assert found["recipe"]["batch_size"] == 4
    counts = np.array(found["calls"]["test"])
    wrong = (run.logits.test > 0) != run.data.labels[run.logits.test_rows]
    assert counts.sum() - np.trace(counts) == wrong.sum()
    page = client.get(f"/studies/small/runs/{run.run_id}").text
    assert "Recipe" in page
    assert client.get(f"/studies/small/runs/{'f' * 20}").status_code == 404
    curves = client.get(f"/studies/small/runs/{run.run_id}/curves").json()
    assert curves["curves"]["run"][0]["curves"]["val_loss"][0] == pytest.approx(
        [epoch["val_loss"] for epoch in run.epochs], rel=1e-4
    )


def test_curves_of_the_study(client, result):
    found = client.get("/api/studies/small/curves").json()
    assert set(found["curves"]) == {"loss", "batch"}
    assert [arm["label"] for arm in found["curves"]["batch"]] == ["4", "8", "16"]
    assert found["curves"]["batch"][0]["seeds"] == list(range(6))


@pytest.fixture(scope="module")
def stored_case(result, image_folder):
    """A test image as its file has it, with the logits that every seed of batch/8 has of it in the store."""
    arm = result.of("batch/8")
    cases = arm.scores[0].test[0]
    path = next(path for path in image_folder.rglob("*.png") if str(path).endswith(cases.names[3]))
    return path.read_bytes(), [float(run.test[1][3]) for run in arm.scores]


def test_a_reading_is_what_the_store_says_of_the_same_image(client, stored_case):
    content, logits = stored_case
    form = {"study": "small", "arm": "batch/8", "explain": "true"}
    found = client.post("/api/read", data=form, files={"image": ("x.png", content)}).json()
    chances = 1 / (1 + np.exp(-np.array(logits)))
    assert [row[1] for row in found["chances"]] == pytest.approx(chances, rel=1e-4)
    assert found["mean"][1] == pytest.approx(chances.mean(), rel=1e-4)
    half = 2.5705818 * chances.std(ddof=1) / 6**0.5
    assert (found["lo"][1], found["hi"][1]) == pytest.approx(
        (max(0, chances.mean() - half), min(1, chances.mean() + half)), rel=1e-4, abs=1e-9
    )
    assert found["called"] == ("PNEUMONIA" if chances.mean() > 0.5 else "NORMAL")
    assert found["saliency"]["trained"] != found["saliency"]["untrained"]
    assert "research" in found["intended_use"]
    page = client.post("/read", data=form, files={"image": ("x.png", content)}).text
    assert "no evidence" in page
    assert "For research and teaching only" in page


def test_a_reading_that_fails_says_why_on_the_page(client):
    page = client.post("/read", data={"study": "small", "arm": "batch/8"}, files={"image": ("x.png", b"GIF")}).text
    assert "the image: not a JPEG, PNG or TIFF file" in page


def test_weights_that_differ_give_another_map(served_store, stored_case):
    with open_store(served_store) as store:
        reader = open_reader(store, "small", "batch/8")
    found = saliency_of(reader, reader.prepared(stored_case[0]), 1)
    assert found.trained.shape == (8, 8)
    assert 0 <= found.trained.min() <= found.trained.max() == 1
    assert not np.allclose(found.trained, found.untrained)
    assert -1 <= found.agreement < 0.99


def test_a_colour_image_and_another_size_are_prepared_alike(served_store):
    with open_store(served_store) as store:
        reader = open_reader(store, "small", "batch/8")
    content = io.BytesIO()
    Image.fromarray(np.full((40, 30, 3), 90, np.uint8)).save(content, "JPEG")
    assert reader.prepared(content.getvalue()).shape == (8, 8)


def test_events_say_progress_and_close(client, served_store):
    with client.stream("GET", "/studies/nope/events") as answer:
        assert answer.status_code == 404


def test_the_description_is_whole(client):
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    assert set(described["paths"]) >= {"/healthz", "/api/studies", "/api/read", "/api/studies/{study}/start"}
    for path, methods in described["paths"].items():
        for method, facts in methods.items():
            assert facts.get("description") or facts.get("summary"), (method, path)


def test_what_goes_wrong_inside_says_so_with_the_same_headers(served_store, tmp_path, monkeypatch):
    app = create_app(served_store, Allowed(hosts=hosts_of("127.0.0.1", PORT)), studies_folder=tmp_path)
    monkeypatch.setattr(interface, "snapshot", lambda *_: 1 / 0)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False) as client:
        said = client.get("/api/studies/small")
    assert (said.status_code, said.json()) == (
        500,
        {"detail": "ZeroDivisionError; the terminal of the server says more"},
    )
    assert said.headers["x-frame-options"] == "DENY"
    assert "script-src 'self'" in said.headers["content-security-policy"]


def test_errors_are_pages_for_people_and_json_for_programs(client):
    page, said = client.get("/studies/nope"), client.get("/api/studies/nope")
    assert (page.status_code, said.status_code) == (404, 404)
    assert "no study nope in the store" in page.text
    assert said.json() == {"detail": "no study nope in the store"}


def test_a_listing_of_a_store_of_an_older_program(served_store):
    with open_store(served_store) as store:
        rows, total = list_runs(store, "small", Listing(by="finished", descending=True, most=3))
    assert (len(rows), total) == (3, 30)
