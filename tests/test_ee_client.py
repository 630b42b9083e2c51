"""The session with Earth Engine: faults, login, pace."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import earthengine_archive
import numpy as np
import pytest
from earthengine_archive import COLLECTIONS, grid_of, search
from earthengine_service import Fault, Service

from eco_index.catalog import load_catalog
from eco_index.composite import composite_tile
from eco_index.errors import InputError, PartialError, UsageError
from eco_index.sources import ee_client
from eco_index.sources.ee_band import OpenBand
from eco_index.sources.ee_transport import Limiter, Limits, retry_after

archive, service = earthengine_archive.archive, earthengine_archive.service  # fixtures


# ---------------------------------------------------------------- faults


def test_busy_then_well(service: Service, archive: Path) -> None:
    service.faults += [Fault(429, {"Retry-After": "0"}), Fault(503)]
    assert len(search(archive, "landsat").scenes) == 3
    assert ee_client.client().counts.repeats == 2


def test_retry_after_is_kept(service: Service, archive: Path) -> None:
    slept: list[float] = []
    session = ee_client.client()
    session._transport._sleep = slept.append
    session._transport.limiter._sleep = slept.append
    session._transport.limits = Limits(attempts=4, longest_wait_s=64)
    service.faults += [Fault(429, {"Retry-After": "17"})]
    search(archive, "landsat")
    # The one that was refused waits, and nobody else starts meanwhile.
    assert slept[0] >= 17 and max(slept[1:], default=17) > 16


def test_storm_ends_in_one_clear_error(service: Service, archive: Path) -> None:
    service.always = Fault(503)
    with pytest.raises(PartialError) as caught:
        search(archive, "landsat")
    assert len(service.seen) == 4
    text = str(caught.value)
    assert "does not answer" in text and "HTTP 503" in text and "4 attempts" in text
    assert "again later" in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


def test_quota(service: Service, archive: Path) -> None:
    service.always = Fault(429)
    with pytest.raises(PartialError, match="quota is used up"):
        search(archive, "landsat")


def test_quota_during_compositing_stops_instead_of_dropping_scenes(
    service: Service, archive: Path
) -> None:
    catalog = load_catalog(archive / "data_catalog.yaml")
    grid = grid_of()
    scenes = search(archive, "landsat").scenes
    service.always = Fault(429)
    with pytest.raises(PartialError, match="quota is used up"):
        composite_tile(scenes, catalog, grid, grid.tiles()[0])


def test_image_that_has_gone_is_a_failure_of_its_scene(service: Service, archive: Path) -> None:
    catalog = load_catalog(archive / "data_catalog.yaml")
    grid = grid_of()
    scenes = search(archive, "landsat").scenes
    collection = service.collections[COLLECTIONS["landsat"]]
    del collection[2]
    out = composite_tile(scenes, catalog, grid, grid.tiles()[0])
    assert [f.scene for f in out.failures] == [scenes[1].id]
    assert "not found" in out.failures[0].reason


def test_hanging_server(service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECO_EE_TIMEOUT_S", "0.2")
    monkeypatch.setenv("ECO_EE_ATTEMPTS", "2")
    ee_client.disconnect()
    ee_client.client()
    service.always = Fault(hang=30)
    with pytest.raises(PartialError, match=r"no answer within 0\.2 s"):
        search(archive, "landsat")


def test_truncated_answer_is_asked_for_again(service: Service, archive: Path) -> None:
    href = search(archive, "landsat").scenes[0].assets["red"].href
    whole = OpenBand(href).read()
    service.faults.append(Fault(cut=200))
    np.testing.assert_array_equal(OpenBand(href).read(), whole)
    assert ee_client.client().counts.repeats == 1


def test_unknown_operation_is_refused_by_name(service: Service) -> None:
    with pytest.raises(InputError, match=r"unknown operation 'Image\.normalizedDifference'"):
        ee_client.client().value(
            lambda ee: ee.Image(f"{COLLECTIONS['sentinel']}/S2_0").normalizedDifference(),
            "test",
        )


def test_collection_not_found(service: Service, archive: Path) -> None:
    del service.collections[COLLECTIONS["landsat"]]
    with pytest.raises(UsageError, match="no such image collection") as caught:
        search(archive, "landsat")
    assert COLLECTIONS["landsat"] in str(caught.value)


# ---------------------------------------------------------------- login


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials anywhere."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "EE_PROJECT", "ECO_EE_URL", "EARTHENGINE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    ee_client.disconnect()


def test_no_credentials(nobody: None) -> None:
    with pytest.raises(UsageError) as caught:
        ee_client.client("some-project")
    text = str(caught.value)
    for way in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "earthengine authenticate",
        "application-default login",
    ):
        assert way in text


def test_broken_key_file_is_not_repeated(
    nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.json"
    key.write_text('{"type": "service_account", "private_key": "very-secret-word"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(UsageError) as caught:
        ee_client.client("some-project")
    assert "very-secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_service_account(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization as form

    secret = rsa.generate_private_key(65537, 2048).private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    )
    key = {
        "type": "service_account",
        "project_id": "its-own-project",
        "private_key": secret.decode(),
        "client_email": "someone@its-own-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    found = ee_client.find_credentials(ee_client.endpoint())
    assert found.project_id == "its-own-project"
    assert any(scope.endswith("/auth/earthengine") for scope in found.scopes)


def test_no_project(service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_PROJECT")
    with pytest.raises(UsageError, match="EE_PROJECT"):
        search(archive, "landsat")


def test_foreign_project(service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EE_PROJECT", "other")
    with pytest.raises(UsageError, match="does not accept the project"):
        search(archive, "landsat")


def test_two_projects_in_a_process(service: Service) -> None:
    ee_client.client()
    with pytest.raises(UsageError, match="two Earth Engine projects"):
        ee_client.client("another")


@pytest.mark.parametrize(
    "url",
    ["http://earthengine.googleapis.com", "https://example.org", "https://googleapis.com.x.org"],
)
def test_credentials_go_nowhere_else(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECO_EE_URL", url)
    with pytest.raises(UsageError, match="not an Earth Engine endpoint"):
        ee_client.endpoint()


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5"])
def test_limits_are_checked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECO_EE_CONCURRENT_REQUESTS", text)
    with pytest.raises(UsageError, match="ECO_EE_CONCURRENT_REQUESTS"):
        Limits.from_env()


# ---------------------------------------------------------------- pace


def test_limiter_spaces_requests() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = Limiter(Limits(requests_per_second=4.0), lambda: now[0], sleep)
    for _ in range(5):
        with limiter.slot():
            pass
    assert now[0] == pytest.approx(1.0)
    limiter.hold(10.0)
    with limiter.slot():
        pass
    assert now[0] == pytest.approx(11.0)


def test_threads_share_the_limit_and_get_the_same_pixels(
    service: Service, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO_EE_CONCURRENT_REQUESTS", "2")
    ee_client.disconnect()
    scenes = search(archive, "landsat").scenes
    hrefs = [asset.href for scene in scenes for asset in scene.assets.values()]
    alone = [OpenBand(href).read() for href in hrefs]
    # Slow answers, so that requests would pile up without the limit.
    service.always = Fault(hang=0.02, right=True)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda href: OpenBand(href).read(), hrefs))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)
    assert service.most_at_once == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0.0),
        ("12", 12.0),
        ("-1", 0.0),
        ("Thu, 01 Jan 1970 00:00:40 GMT", 30.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("soon", 0.0),
    ],
)
def test_retry_after(text: str | None, seconds: float) -> None:
    assert retry_after(text, now=10.0) == pytest.approx(seconds)
