"""Every page in a real browser: opened, clicked, a study watched from start to end, an image read."""

import json
import re
import shutil

import pytest
from PIL import Image
from playwright.sync_api import expect

from doubleread.files import write_json
from doubleread.store import open_store, read_record, run_folder
from tests.browsing import PHONE, opened, serious_findings
from tests.conftest import draw_images, small_study, write_folder
from tests.hostile import HOSTILE
from tests.server.conftest import serving, wait_for

PAGES = ("", "studies/small", "studies/small/report", "studies/small/runs", "studies/small/data", "read")
MINUTE = 30_000


@pytest.fixture(scope="module")
def address(served_store, tmp_path_factory):
    with serving(served_store, tmp_path_factory.mktemp("studies")) as found:
        yield f"{found}/"


def settled(page):
    """Wait until the page that asks again has what it waits for."""
    expect(page.get_by_role("status").filter(has_text="…")).to_have_count(0, timeout=MINUTE)
    expect(page.get_by_text("being computed")).to_have_count(0, timeout=MINUTE)


# the report has tests of its own, with every chart drawn
@pytest.mark.parametrize("path", [path for path in PAGES if not path.endswith("report")])
def test_every_page_is_clean_in_both_lights(chromium, address, path):
    for scheme in ("light", "dark"):
        with opened(chromium, address + path, color_scheme=scheme, bypass_csp=True) as (page, _, said):
            settled(page)
            assert serious_findings(page) == [], scheme
            assert said == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_asks_elsewhere_or_is_wider_than_a_phone(chromium, address, path):
    with opened(chromium, address + path, viewport=PHONE) as (page, requests, said):
        settled(page)
        assert all(request.startswith(address) for request in requests)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert said == []


def test_from_the_list_to_a_run_by_keyboard_and_mouse(chromium, address):
    with opened(chromium, address) as (page, _, said):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.get_by_role("link", name="small", exact=True).click()
        expect(page.locator("#progress")).to_contain_text("24 of 24 runs done")
        page.get_by_role("link", name="runs", exact=True).click()
        rows = page.locator("#runs tbody tr")
        expect(rows).to_have_count(30)
        page.get_by_role("link", name="val loss").click()
        expect(page.locator("th[aria-sort=ascending]")).to_contain_text("val loss")
        losses = [float(text) for text in rows.locator("td:nth-child(6)").all_inner_texts()]
        assert losses == sorted(losses)
        page.get_by_label("arm holds").fill("batch/16")
        expect(rows).to_have_count(6)
        assert "arm=batch%2F16" in page.url
        page.get_by_label("run of batch/16, seed 2").click()
        expect(page.locator("figure.live")).to_have_count(1)
        expect(page.locator("pre")).to_contain_text('"batch_size": 16')
        assert said == []


def test_an_image_is_read(chromium, address, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(draw_images(1, 1, 5)[0]).save(path)
    with opened(chromium, f"{address}read") as (page, _, said):
        page.locator("select[name=arm]").select_option("batch/4")
        page.get_by_label("saliency map").check()
        page.locator("input[type=file]").set_input_files(path)
        expect(page.locator(".reading")).to_contain_text("interval of the mean over 6 seeds", timeout=MINUTE)
        expect(page.locator(".maps img")).to_have_count(2)
        for box in (one.bounding_box() for one in page.locator(".maps img").all()):
            # a film is square, and so is its map
            assert abs(box["width"] - box["height"]) < 1
        expect(page.locator("#reading")).to_contain_text("no evidence")
        expect(page.locator("#reading")).to_contain_text("threshold of 0.5")
        (tmp_path / "film.txt").write_text("no image")
        page.locator("input[type=file]").set_input_files(tmp_path / "film.txt")
        expect(page.locator(".error")).to_contain_text("not a JPEG, PNG or TIFF file", timeout=MINUTE)
        assert said == []


def test_an_image_is_dropped(chromium, address, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(draw_images(1, 0, 6)[0]).save(path)
    with opened(chromium, f"{address}read") as (page, _, said):
        data = page.evaluate_handle(
            "(bytes) => { const all = new DataTransfer(); all.items.add(new File([new Uint8Array(bytes)], 'film.png',"
            " { type: 'image/png' })); return all; }",
            list(path.read_bytes()),
        )
        page.dispatch_event("[data-drop]", "drop", {"dataTransfer": data})
        page.locator(".reading").wait_for(timeout=MINUTE)
        assert "interval of the mean over 6 seeds" in page.locator(".reading").inner_text()
        assert page.locator("input[type=file]").evaluate("(input) => input.files[0].name") == "film.png"
        assert said == []


@pytest.fixture
def fresh(served_store, tmp_path):
    """A server over a copy of the store, with a study file of slow runs beside it."""
    shutil.copytree(served_store, tmp_path / "runs")
    raw = small_study(write_folder(tmp_path / "images", train=200), study="watched", seeds=1)
    raw["base"] = {
        **raw["base"],
        "epochs": 25,
        "batch_size": 2,
        "model": {"name": "cnn", "widths": [8, 8], "blocks": [1, 1]},
    }
    raw["data"] = {**raw["data"], "image_size": 16}
    claim = {"id": "c", "metric": "val_accuracy", "better": 2, "than": 4, "margin": 0.02}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [2, 4]}, "claims": [claim]}}
    (tmp_path / "watched.yaml").write_text(json.dumps(raw))
    with serving(tmp_path / "runs", tmp_path) as address:
        yield f"{address}/"


def test_a_study_is_started_watched_stopped_and_watched_to_its_end(chromium, fresh):
    with opened(chromium, fresh) as (page, _, said):
        page.get_by_role("button", name="start watched").click()
        expect(page.locator("#progress")).to_contain_text("of 2 runs done", timeout=MINUTE)
        expect(page.locator("#progress table tbody tr").first).to_contain_text("of 25", timeout=MINUTE)
        expect(page.locator("figure.live")).to_have_count(1, timeout=MINUTE)
        grown = "Number(document.querySelector('[data-curves]').dataset.points)"
        before = page.evaluate(grown)
        wait_for(lambda: page.evaluate(grown) > before + 2)
        assert page.evaluate("performance.getEntriesByType('navigation').length") == 1, "the page is not loaded anew"
        page.get_by_role("button", name="stop").click()
        expect(page.locator("#progress")).to_contain_text("interrupted", timeout=MINUTE)
        expect(page.get_by_role("button", name="stop")).to_have_count(0, timeout=MINUTE)
        page.get_by_role("button", name="start or go on").click()
        expect(page.locator("#progress")).to_contain_text("2 of 2 runs done", timeout=2 * MINUTE)
        expect(page.get_by_role("button", name="stop")).to_have_count(0, timeout=MINUTE)
        wait_for(lambda: page.evaluate(grown) == 2 * 25)
        assert said == []
        # one more seed: what is there is not trained again
        page.get_by_label("seeds, to extend it").fill("2")
        page.get_by_role("button", name="start or go on").click()
        expect(page.locator("#progress")).to_contain_text(re.compile(r"2 of 4 runs done"), timeout=MINUTE)
        page.get_by_role("button", name="stop").click()
        expect(page.locator("#progress")).to_contain_text("interrupted", timeout=MINUTE)


def test_a_run_that_fails_says_why(chromium, fresh, tmp_path):
    raw = json.loads((tmp_path / "watched.yaml").read_text())
    raw["study"] = "missing"
    raw["data"]["source"] = str(tmp_path / "nowhere")
    (tmp_path / "missing.yaml").write_text(json.dumps(raw))
    with opened(chromium, fresh) as (page, _, _):
        page.get_by_role("button", name="start missing").click()
        page.locator(".error").wait_for(timeout=MINUTE)
        assert page.locator(".error").inner_text() == "The training ended before it began."
        log = page.locator("pre.log").inner_text()
        assert "data.source" in log
        assert str(tmp_path / "nowhere") in log


def test_a_run_that_fails_leads_to_its_log(chromium, served_store, tmp_path):
    """A run is broken in the store, as a worker that ends with an error leaves it."""
    shutil.copytree(served_store, tmp_path / "runs")
    with open_store(tmp_path / "runs", write=True) as store:
        run = next(row["run_id"] for row in store.runs_of("small") if (row["arm"], row["seed"]) == ("batch/16", 3))
        record = {**read_record(run_folder(store.root, run)), "state": "failed", "reason": "ValueError: no good"}
        write_json(run_folder(store.root, run) / "run.json", {**record, "trace": "Traceback: <b>here</b>"})
        store.write_rows(run, record)
    with serving(tmp_path / "runs", tmp_path) as address, opened(chromium, f"{address}/studies/small") as (page, _, _):
        page.get_by_role("link", name="batch/16, seed 3").click()
        page.get_by_text("Log of the failure").click()
        assert page.locator("pre.log").inner_text() == "Traceback: <b>here</b>"
        assert "ValueError: no good" in page.locator("dl").first.inner_text()


def test_names_that_are_scripts_stay_names(chromium, hostile_folder, result, tmp_path_factory):
    root = result.data[0].folder.parent.parent
    with serving(root, tmp_path_factory.mktemp("none")) as address:
        for path in ("/studies/small/data", "/studies/small", "/studies/small/runs", "/read?study=small"):
            with opened(chromium, address + path) as (page, _, said):
                settled(page)
                if path.endswith("data"):
                    assert HOSTILE.replace("/", "∕") in page.locator("main").inner_text()
                assert said == [], path
        run = result.of("batch/4").done[0].run_id
        with opened(chromium, f"{address}/studies/small/runs/{run}") as (page, _, said):
            assert HOSTILE.replace("/", "∕") in page.locator("main").inner_text()
            assert said == []
