"""Examples for the OpenAPI document."""

from typing import Any

JOB_ID = "019313a4-6a2e-7cc1-9a52-1f0c5ad3e8b1"
PREDICTION_ID = "019313a4-7b10-7d52-8f35-0c9e1b7a4d26"


JOB: dict[str, Any] = {
    "id": JOB_ID,
    "name": "box-17.zip",
    "state": "running",
    "model_version": "3",
    "review_threshold": 0.93,
    "gradcam": "review",
    "counts": {
        "total": 2000,
        "processed": 640,
        "succeeded": 638,
        "failed": 1,
        "skipped": 1,
        "handwritten": 401,
        "printed": 237,
        "needs_review": 9,
    },
    "progress": 0.32,
    "images_per_second": 71.4,
    "created_at": "2026-11-23T10:00:00Z",
    "started_at": "2026-11-23T10:00:01Z",
    "finished_at": None,
    "cancel_after": "2026-11-24T10:00:00Z",
    "expires_at": None,
    "retry_of": None,
    "reason": None,
    "detail": None,
    "links": {
        "self": f"/jobs/{JOB_ID}",
        "events": f"/jobs/{JOB_ID}/events",
        "results": f"/jobs/{JOB_ID}/results",
        "results_csv": f"/jobs/{JOB_ID}/results?format=csv",
        "results_ndjson": f"/jobs/{JOB_ID}/results?format=ndjson",
    },
}

JOB_EVENTS = """\
event: state
data: {"id": "019313a4-6a2e-7cc1-9a52-1f0c5ad3e8b1", "state": "running", "progress": 0.32, "counts": {"processed": 640}}
id: running:640:2000
retry: 2000

event: progress
data: {"id": "019313a4-6a2e-7cc1-9a52-1f0c5ad3e8b1", "state": "running", "progress": 0.336, "counts": {"processed": 672}}
id: running:672:2000
retry: 2000

"""

PREDICTION: dict[str, Any] = {
    "id": PREDICTION_ID,
    "job_id": JOB_ID,
    "file": "box-17/0042.jpg",
    "page": 1,
    "status": "succeeded",
    "predicted_class": "handwritten",
    "confidence": 0.9981,
    "probabilities": {"handwritten": 0.9981, "printed": 0.0019},
    "needs_review": False,
    "model_version": "3",
    "reason": None,
    "detail": None,
    "created_at": "2026-11-23T10:00:09Z",
    "links": {"self": f"/predictions/{PREDICTION_ID}", "image": f"/predictions/{PREDICTION_ID}/image"},
}

WEBHOOK_ENDPOINT: dict[str, Any] = {
    "id": "019313a4-5c11-7e0f-8f4b-5d2f6a1c9b01",
    "url": "https://hooks.example.org/penpress",
    "failing_since": None,
    "disabled_at": None,
    "disabled_reason": None,
    "created_at": "2026-11-23T10:00:00Z",
}

WEBHOOK_EVENT: dict[str, Any] = {
    "id": "019313a4-8d21-7a33-b0c7-3e5f7a9b1c2d",
    "job_id": JOB_ID,
    "endpoint_id": WEBHOOK_ENDPOINT["id"],
    "type": "job.completed",
    "state": "pending",
    "attempt": 1,
    "next_at": "2026-11-23T10:00:36Z",
    "created_at": "2026-11-23T10:00:30Z",
    "finished_at": None,
    "attempts": [{"started_at": "2026-11-23T10:00:30Z", "milliseconds": 87, "status": 503, "error": "It answered 503."}],
}

METRICS = """\
# HELP penpress_http_requests_total Requests answered.
# TYPE penpress_http_requests_total counter
penpress_http_requests_total{method="POST",route="/predict/",status="200"} 4711.0
# HELP penpress_model_info The model that answers /predict/.
# TYPE penpress_model_info gauge
penpress_model_info{device="cpu",name="starter",version="3"} 1.0
# HELP penpress_model_swaps_total Models swapped in since the start.
# TYPE penpress_model_swaps_total counter
penpress_model_swaps_total 2.0
# HELP penpress_model_failures_total Attempts to learn of or to load the model that failed.
# TYPE penpress_model_failures_total counter
penpress_model_failures_total 0.0
# HELP penpress_model_failing 1 while the last attempt has failed and an older model serves.
# TYPE penpress_model_failing gauge
penpress_model_failing 0.0
# HELP penpress_model_loaded_timestamp_seconds When the model was swapped in.
# TYPE penpress_model_loaded_timestamp_seconds gauge
penpress_model_loaded_timestamp_seconds 1.763892e+09
# HELP penpress_sweep_actions_total What the sweep has put right, by rule, since ever.
# TYPE penpress_sweep_actions_total counter
penpress_sweep_actions_total{rule="expired_leases"} 3.0
"""
_METRICS = {"validation.accuracy": 0.9928, "test.accuracy": 0.9911, "test.expected_calibration_error": 0.0041}

MODEL: dict[str, Any] = {
    "version": "3",
    "aliases": ["prod"],
    "name": "finetune-2",
    "run_id": "0f6c1d0c7d0b4a8b9d5c3a3f7a1e2b4c",
    "experiment": "penpress",
    "registered_at": "2026-11-23T09:00:00Z",
    "promoted": {"at": "2026-11-23T09:05:00Z", "by": "ada@archive", "why": "two points better on incunabula"},
    "overruled_gates": None,
    "archived": None,
    "metrics": _METRICS,
    "parameters": {"strategy": "finetune", "seed": "20261123"},
    "tags": {"origin": "run", "bundle_sha256": "3b968e28fe31c5c6237ddd4e77e324cb8818e1a5cf447875a465188d38164111"},
}

SERVED_MODEL: dict[str, Any] = {
    "version": "3",
    "name": "finetune-2",
    "labels": ["handwritten", "printed"],
    "input": {"height": 256, "width": 1024, "resize": "stretch"},
    "graph": "model.int8.onnx",
    "on_gpu": False,
    "temperature": 1.03,
    "review_threshold": 0.71,
    "made_at": "2026-11-23T08:55:00+00:00",
    "metrics": _METRICS,
    "loaded_at": "2026-11-23T09:05:02Z",
    "last_error": None,
    "last_error_at": None,
    "swaps": 2,
    "failures": 0,
}
