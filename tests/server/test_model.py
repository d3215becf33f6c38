"""A saved model over HTTP: what it says is what the command says; anything sent to it has an answer."""

import io

import httpx2 as httpx
import numpy as np
import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from doubleread.model_file import export_model, load_model, predict, write_model
from doubleread.server import Allowed, create_app
from doubleread.server.serving import hosts_of
from doubleread.store import open_store
from tests.conftest import draw_images, needed
from tests.images.dicom_files import write_dicom
from tests.model_file.conftest import model_result, model_store
from tests.server.conftest import PORT, serving

__all__ = ["model_result", "model_store"]
EXAMPLES = 25
HERE = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def model_path(model_store, model_result, tmp_path_factory):
    path = tmp_path_factory.mktemp("served model") / "m.zip"
    with open_store(model_store) as store:
        found = export_model(model_result, store, "model/cnn", ensemble=True)
    write_model(path, found.predictor.document, found.weights)
    return path


@pytest.fixture(scope="module")
def app(model_store, model_path):
    return create_app(
        model_store, Allowed(hosts=hosts_of("127.0.0.1", PORT) | {"localhost", "testserver"}), model=model_path
    )


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, base_url=HERE) as found:
        yield found


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def test_the_model_says_what_it_is(client, model_path):
    assert client.get("/model").json() == load_model(model_path).document.model_dump(mode="json")
    assert client.get("/healthz").json() == {"status": "ok"}


def test_several_images_are_read_as_the_command_reads_them(client, model_path, tmp_path):
    needed("pydicom")
    images = draw_images(3, 1, 9, 20)
    dicom = write_dicom(tmp_path / "x", images[2], PatientName="Canaryson^Jane").read_bytes()
    files = [("images", ("a.png", png(images[0]))), ("images", ("b.png", b"no image")), ("images", ("c", dicom))]
    answer = client.post("/predict", files=files)
    found = answer.json()
    assert answer.status_code == 200
    assert [one["image"] for one in found["predictions"]] == ["a.png", "b.png", "c"]
    assert [one["error"] for one in found["predictions"]] == [None, "not a JPEG, PNG or TIFF file", None]
    table = predict(load_model(model_path), [images[0], images[2]])
    good = [one for one in found["predictions"] if one["error"] is None]
    assert [one["probability"] for one in good] == pytest.approx(table["probability"].tolist(), abs=1e-6)
    assert [one["called"] for one in good] == table["class"].tolist()
    assert good[0]["probabilities"]["PNEUMONIA"] == good[0]["probability"]
    assert sum(good[0]["probabilities"].values()) == pytest.approx(1)
    assert found["intended_use"].startswith("For research and teaching only")
    assert "Canaryson" not in answer.text


def test_a_map_comes_with_its_check(client):
    needed("captum")
    content = png(draw_images(1, 1, 9, 20)[0])
    for method in ("integrated-gradients", "grad-cam", "occlusion"):
        found = client.post("/explain", files={"image": ("a.png", content)}, data={"method": method}).json()
        assert found["trained"].startswith("data:image/jpeg;base64,")
        assert found["trained"] != found["untrained"]
        assert "no evidence" in found["no_evidence"]
        assert found["towards"] == found["called"]
    towards = client.post("/explain", files={"image": ("a.png", content)}, data={"towards": "NORMAL"}).json()
    assert towards["towards"] == "NORMAL"


def test_what_is_too_much_or_wrong_is_refused(client):
    image = ("images", ("a.png", png(draw_images(1, 1, 9)[0])))
    many = client.post("/predict", files=[image] * 65)
    assert (many.status_code, many.json()["detail"]) == (
        422,
        "body.images: List should have at most 64 items after validation, not 65",
    )
    assert client.post("/predict").status_code == 422
    huge = client.post("/predict", files=[("images", ("a.png", b"x" * (24 * 2**20 + 1)))])
    assert (huge.status_code, huge.json()["detail"]) == (413, "an image of at most 25,165,824 bytes")
    bomb = io.BytesIO()
    Image.new("1", (14000, 14000)).save(bomb, "PNG")
    answer = client.post("/predict", files=[("images", ("bomb.png", bomb.getvalue())), image])
    assert [one["error"] for one in answer.json()["predictions"]] == [
        "too many pixels; expected at most 89,478,485",
        None,
    ]
    for data, status in (({"method": "lime"}, 422), ({"towards": "FLU"}, 422), ({"towards": "x" * 3000}, 422)):
        assert client.post("/explain", files={"image": ("a.png", image[1][1])}, data=data).status_code == status
    assert client.post("/explain", files={"image": ("a.png", b"no")}).json()["detail"] == (
        "the image: not a JPEG, PNG or TIFF file"
    )


def test_without_a_model_there_is_none(model_store):
    bare = create_app(model_store, Allowed(hosts=hosts_of("127.0.0.1", PORT)))
    with TestClient(bare, base_url=HERE) as client:
        for answer in (client.get("/model"), client.post("/predict", files=[("images", ("a.png", b"x"))])):
            assert (answer.status_code, answer.json()["detail"]) == (
                404,
                "no model is served here; start the server with --model",
            )


def test_the_pages_name_the_model_and_say_how_to_send_it_images(client, model_store):
    for path in ("/", "/read"):
        page = client.get(path).text
        assert "<strong>small, model/cnn</strong>: 3 seeds, averaged." in page
        assert f"<pre>curl -F images=@film.png {HERE}/predict</pre>" in page
    bare = create_app(model_store, Allowed(hosts=hosts_of("127.0.0.1", PORT)))
    with TestClient(bare, base_url=HERE) as other:
        assert "curl" not in other.get("/").text + other.get("/read").text


def test_the_pages_of_a_model_need_no_store_and_name_the_token(model_path, tmp_path):
    allowed = Allowed(hosts=hosts_of("127.0.0.1", PORT), token="a token of letters")
    app = create_app(tmp_path / "no runs", allowed, model=model_path)
    with TestClient(app, base_url=HERE, headers={"authorization": "Bearer a token of letters"}) as client:
        for path in ("/", "/read"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "The store has no study yet." in answer.text
            assert f"""curl -H "Authorization: Bearer TOKEN" -F images=@film.png {HERE}/predict""" in answer.text
            assert "a token of letters" not in answer.text
    assert not (tmp_path / "no runs").exists()


def test_a_process_serves_a_model_without_a_store(model_path, tmp_path):
    with serving(tmp_path / "no runs", tmp_path, "--model", str(model_path)) as address:
        files = [("images", (f"{i}.png", png(pixels))) for i, pixels in enumerate(draw_images(5, 0, 3))]
        found = httpx.post(f"{address}/predict", files=files, timeout=60).json()
        assert [one["error"] for one in found["predictions"]] == [None] * 5
    assert not (tmp_path / "no runs").exists()


PATHS = (
    *("/model", "/predict", "/explain", "/healthz", "/api/read", "/api/studies", "/api/studies/{study}"),
    *("/api/studies/{study}/runs", "/api/studies/{study}/runs/{run_id}", "/api/studies/{study}/curves"),
    *("/api/studies/{study}/start", "/api/studies/{study}/stop"),
)


def test_every_operation_is_tried(app):
    assert set(app.openapi()["paths"]) == set(PATHS)


@pytest.fixture
def whole_arithmetic():
    """Numbers next to zero as they are: a training in this process flushes them, and Schemathesis draws them."""
    flushed = np.float64(5e-324) * 1 == 0
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(bool(flushed))


@pytest.mark.usefixtures("whole_arithmetic")
@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_sent_has_an_answer_that_is_described(app, path):
    """Schemathesis draws requests from the description, right and wrong ones, and holds the answers against it."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    (method,) = app.openapi()["paths"][path]
    tried = 0

    @given(case=schema[path][method.upper()].as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def try_it(case):
        nonlocal tried
        answer = case.call()
        # whether bytes are an image, no description can say
        beyond = [positive_data_acceptance] if path in ("/explain", "/api/read") else []
        case.validate_response(answer, excluded_checks=beyond)
        assert answer.status_code < 500 or answer.status_code == 503
        tried += 1

    try_it()
    assert tried > 0
