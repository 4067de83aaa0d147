"""Examples in the OpenAPI document, by the name of what they are examples of."""

from __future__ import annotations

from typing import Any

_TIME = "2026-03-02T08:30:00Z"
_JOB = {
    "id": 12,
    "kind": "train",
    "state": "running",
    "queue": "cpu",
    "priority": 100,
    "line": "welds",
    "spec": {"line": "welds", "domain": "radiographs", "strategy": "si", "parameters": {"c": 0.1}},
    "attempt": 1,
    "worker": "station-1-4711-9f3c",
    "progress": {"fraction": 0.4, "loss": 0.31},
    "result": None,
    "error": None,
    "created_by": "key/1",
    "created_at": _TIME,
    "queued_at": _TIME,
    "started_at": "2026-03-02T08:30:01Z",
    "heartbeat_at": "2026-03-02T08:31:20Z",
    "finished_at": None,
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "NewDomain": {
        "name": "radiographs",
        "modality": "radiograph",
        "classes": ["background", "porosity", "crack", "lack of fusion"],
        "ignore": 255,
        "pitch_mm": 0.1,
    },
    "NewKey": {"name": "line 3, station 1", "role": "inspector", "days": 365},
    "NewScrub": {"collect": False},
    "Assignment": {"domain": "radiographs"},
    "ImportSpec": {"domain": "radiographs", "upload": "6b1f0c2e9d", "format": "coco"},
    "NewSnapshot": {"domains": ["radiographs", "phased-array"]},
    "NewExport": {"format": "coco"},
    "NewQualificationSet": {"domain": "radiographs", "reason": "welds of the first two sites"},
    "NewTraining": {
        "line": "welds",
        "domain": "radiographs",
        "strategy": "si+replay",
        "parameters": {"c": 0.1, "capacity": 200},
        "steps": 2000,
    },
    "NewEvaluation": {"version": "welds/3"},
    "Promotion": {"version": "welds/3", "reason": "finds more of the small pores of site B"},
    "Rollback": {"reason": "calls grain noise defects since this morning"},
    "NewBatch": {"domain": "radiographs"},
    "Calibration": {"images_between_false_alarms": 5000},
    "JobShape": _JOB,
}
