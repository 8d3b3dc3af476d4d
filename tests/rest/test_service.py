"""Information about the service: statistics, health, models, documents."""

from __future__ import annotations

import httpx
import pytest

from tests.support.rest_client import post


@pytest.mark.slow
def test_statistics_have_the_specified_fields_and_types(api: httpx.Client, nifti: bytes) -> None:
    forms = ({"email": "One@Example.com ", "priority": "bulk"}, {"email": "one@example.com"})
    answers = [post(api, nifti, data=form) for form in forms]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert [answer.json()["queue_position"] for answer in answers] == [1, 1], "the second precedes the bulk job"
    assert api.get(f"/status/{answers[0].json()['job_id']}").json()["queue_position"] == 2
    body = api.get("/stats").json()
    whole = ("total_jobs_processed", "total_jobs_today", "unique_users", "average_processing_time_seconds")
    assert all(type(body[name]) is int for name in (*whole, "jobs_in_queue"))
    assert isinstance(body["uptime_hours"], (int, float))
    assert (body["unique_users"], body["jobs_in_queue"]) == (1, 2)


def test_figures_for_prometheus_are_plain_text(api: httpx.Client) -> None:
    answer = api.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "kneebox_queue_jobs 0.0" in answer.text.splitlines()
    before = not_found(answer.text)  # of earlier tests: the server has counted them and not yet written
    api.get("/status/none")
    assert not_found(api.get("/metrics").text) == before + 1


def not_found(figures: str) -> float:
    """How often a job was not found."""
    start = 'kneebox_refusals_total{code="JOB_NOT_FOUND"} '
    return next((float(line.removeprefix(start)) for line in figures.splitlines() if line.startswith(start)), 0.0)


def test_health_lists_the_available_parts(api: httpx.Client) -> None:
    response = api.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert body["redis"] == "connected"
    assert body["disk_free_bytes"] > 0
    assert set(body["weights"]) == {"nnunet_fullres", "nnunet_cascade"}
    assert set(body["sandbox"]) == {"state", "landlock", "seccomp", "missing"}
    assert (body["sandbox"]["state"] == "full") is (not body["sandbox"]["missing"])


def test_models_are_described_by_their_cards(api: httpx.Client) -> None:
    models = api.get("/models").json()
    assert [model["id"] for model in models] == ["nnunet_fullres", "nnunet_cascade", "nsm/femur_shape"]
    assert models[-1]["available"]
    for model in models:
        assert {"title", "available", "structures", "sequences", "licence", "citation", "weights_sha256"} <= set(model)
    for model in models[:2]:
        assert {"scope", "accuracy", "thick_slices", "confidence_flag", "repeatability"} <= set(model)
    default, cascade = models[:2]
    assert default["repeatability"]["model"] == default["id"]
    assert default["repeatability"]["regions"]["femoral_cartilage/all"]["sdc_mm"] > 0
    assert cascade["repeatability"] is None, "not measured"


def test_the_openapi_document_names_every_route_and_form_field(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    routes = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert routes == {
        ("/upload", "post"),
        ("/status/{job_id}", "get"),
        ("/download/{job_id}", "get"),
        ("/stats", "get"),
        ("/metrics", "get"),
        ("/health", "get"),
        ("/models", "get"),
        ("/jobs/{job_id}", "delete"),
        ("/jobs/{job_id}/cancel", "post"),
        ("/jobs/{job_id}/retry", "post"),
        ("/jobs/{job_id}/copy", "post"),
        ("/jobs/{job_id}/versions", "get"),
        ("/jobs/{job_id}/versions", "post"),
        ("/jobs/{job_id}/restore", "post"),
        ("/jobs/{job_id}/labels", "post"),
        ("/jobs/{job_id}/for-editing.zip", "get"),
        ("/jobs/{job_id}/review", "put"),
        ("/jobs/{job_id}/prolong", "post"),
        ("/jobs/{job_id}/measurements", "get"),
        ("/jobs/{job_id}/artifacts/{name}", "get"),
        ("/jobs/{job_id}/view/{name}", "get"),
        ("/scans", "post"),
        ("/scans/{scan_id}", "get"),
        ("/scans/{scan_id}", "delete"),
        ("/scans/{scan_id}/start", "post"),
        ("/access", "post"),
        ("/access", "delete"),
        ("/live", "get"),
        ("/reference-values", "get"),
        ("/compare/{first_id}/{second_id}", "get"),
        ("/compare/{first_id}/{second_id}/changes.csv", "get"),
        ("/compare/{first_id}/{second_id}/view/{name}", "get"),
        ("/studies", "get"),
        ("/studies", "post"),
        ("/studies/{study_id}", "get"),
        ("/studies/{study_id}", "delete"),
        ("/studies/{study_id}/start", "post"),
        ("/studies/{study_id}/pause", "post"),
        ("/studies/{study_id}/cancel", "post"),
        ("/studies/{study_id}/retry", "post"),
        ("/studies/{study_id}/rows", "get"),
        ("/studies/{study_id}/rows", "post"),
        ("/studies/{study_id}/rows/{row}/artifacts/{name}", "get"),
        ("/studies/{study_id}/findings.csv", "get"),
        ("/studies/{study_id}/rows/{row}/thumbnail", "get"),
        ("/studies/{study_id}/rows/{row}/review", "put"),
        ("/studies/{study_id}/gallery", "get"),
        ("/studies/{study_id}/tables/{name}", "get"),
        ("/studies/{study_id}/tables.zip", "get"),
        ("/studies/{study_id}/maps", "post"),
        ("/studies/{study_id}/maps/{number}", "get"),
        ("/studies/{study_id}/maps/{number}/{name}", "get"),
        ("/studies/{study_id}/readers", "get"),
        ("/studies/{study_id}/rows/{row}/edit", "post"),
        ("/studies/{study_id}/expiry", "put"),
        ("/me", "get"),
        ("/projects", "post"),
        ("/projects/{project_id}", "delete"),
        ("/projects/{project_id}/members", "get"),
        ("/projects/{project_id}/members/{person_id}", "put"),
        ("/projects/{project_id}/members/{person_id}", "delete"),
        ("/projects/{project_id}/invitations", "post"),
        ("/jobs/{job_id}/links", "get"),
        ("/jobs/{job_id}/links", "post"),
        ("/jobs/{job_id}/owner", "put"),
        ("/studies/{study_id}/links", "get"),
        ("/studies/{study_id}/links", "post"),
        ("/studies/{study_id}/owner", "put"),
        ("/links/open", "post"),
        ("/links/{link_id}", "delete"),
        ("/series", "get"),
        ("/series/trends.csv", "get"),
        ("/series/view/{name}", "get"),
    }
    form = document["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"file", "email", "priority", "segmentation_model", "cartilage_smoothing", "side"} <= set(form["properties"])
    assert api.get("/docs").status_code == 200


def test_published_values_are_rows_of_groups(api: httpx.Client) -> None:
    groups = {group["id"]: group for group in api.get("/reference-values").json()}
    men = groups["oai_poma_men"]
    assert (men["people"], men["sex"], men["plane"], men["sequence"]) == (18, "male", "sagittal", "DESS")
    assert {"quantity", "structure", "region", "mean", "sd", "band", "unit"} == set(men["values"][0])
    assert groups["framingham"]["values"][0]["band"] is None
