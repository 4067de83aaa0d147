"""Every route of the API: the least role that may use it, and a request that reaches the place where that is asked.

A new route must be written down here. `None` as the role: open to everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seamwise.storage.tables import Role
from seamwise.vision.png import encode_png

VIEWER, INSPECTOR, TRAINER, ADMIN = Role


@dataclass(frozen=True)
class Route:
    """role: the least. send: keyword arguments of the request. fill: what stands in the address's braces."""

    method: str
    path: str
    role: Role | None
    send: dict[str, Any] = field(default_factory=dict)
    fill: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """With the braces filled: numbers of records that are not there, unless `fill` says otherwise."""
        parts = (part.strip("{}") if part.startswith("{") else None for part in self.path.split("/"))
        found = zip(self.path.split("/"), parts, strict=True)
        return "/".join(text if name is None else self.fill.get(name.partition(":")[0], "999") for text, name in found)


def get(path: str, role: Role | None = VIEWER, **more: Any) -> Route:
    return Route("GET", path, role, **more)


def post(path: str, role: Role, **send: Any) -> Route:
    return Route("POST", path, role, send)


PICTURE = ("a.png", encode_png(np.zeros((8, 8, 1), np.uint8)), "image/png")
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}

TABLE = (
    get("/health", None),
    get("/ready", None),
    get("/metrics"),
    post("/keys", ADMIN, json={"name": "n", "role": "viewer"}),
    get("/keys", ADMIN),
    get("/keys/{key_id}", ADMIN),
    Route("DELETE", "/keys/{key_id}", ADMIN),
    get("/audit", ADMIN),
    get("/jobs"),
    get("/jobs/{job_id}"),
    post("/jobs/{job_id}/cancel", TRAINER),
    post("/jobs/{job_id}/requeue", TRAINER),
    get("/jobs/{job_id}/log"),
    get("/jobs/{job_id}/events"),
    post("/scrubs", ADMIN, json={}),
    get("/strategies"),
    get("/strategies/{name}"),
    post("/domains", TRAINER, json={"name": "a", "modality": "rt", "classes": ["background", "pore"]}),
    get("/domains"),
    get("/domains/{name}"),
    get("/domains/{name}/images"),
    post("/domains/{name}/images", INSPECTOR, files={"files": PICTURE}),
    get("/images"),
    get("/images/{image_id}"),
    Route("PATCH", "/images/{image_id}", INSPECTOR, {"json": {"domain": "a"}}),
    Route("DELETE", "/images/{image_id}", ADMIN),
    get("/images/{image_id}/content"),
    get("/images/{image_id}/annotations"),
    post("/images/{image_id}/annotations", INSPECTOR, data={"label": "pore"}),
    get("/images/{image_id}/annotations/{number}/mask"),
    Route("OPTIONS", "/uploads", VIEWER),
    post("/uploads", INSPECTOR, headers={**TUS, "Upload-Length": "3"}),
    Route("HEAD", "/uploads/{upload_id}", INSPECTOR, {"headers": TUS}),
    Route("PATCH", "/uploads/{upload_id}", INSPECTOR, {"headers": {**TUS, **PIECE}, "content": b"abc"}),
    Route("DELETE", "/uploads/{upload_id}", INSPECTOR, {"headers": TUS}),
    post("/imports", TRAINER, json={"domain": "a", "upload": "999"}),
    post("/snapshots", TRAINER, json={"domains": ["a"]}),
    post("/snapshots/qualification", TRAINER, json={"domain": "a", "reason": "first"}),
    get("/snapshots/qualification"),
    get("/snapshots"),
    get("/snapshots/{snapshot_id}"),
    post("/snapshots/{snapshot_id}/exports", INSPECTOR, json={}),
    get("/snapshots/{snapshot_id}/exports/{job_id}"),
    post("/trainings", TRAINER, json={"line": "welds", "domain": "a"}),
    get("/trainings"),
    get("/rounds"),
    get("/rounds/{round_id}"),
    post("/rounds/{round_id}/dismiss", TRAINER),
    post("/evaluations", TRAINER, json={"version": "welds/1"}),
    get("/evaluations"),
    get("/evaluations/{evaluation_id}"),
    get("/evaluations/{evaluation_id}/images"),
    get("/models"),
    get("/models/{line}/forgetting"),
    get("/models/{line}/{number}"),
    get("/models/{line}/{number}/files/{name}", fill={"name": "model.safetensors"}),
    get("/aliases"),
    get("/aliases/{name}"),
    Route("PUT", "/aliases/{name}", TRAINER, {"json": {"version": "welds/1", "reason": "better"}}),
    get("/aliases/{name}/history"),
    post("/aliases/{name}/rollback", TRAINER, json={"reason": "worse"}),
    post("/predictions", INSPECTOR, files={"image": PICTURE}),
    get("/predictions"),
    get("/predictions/{prediction_id}"),
    get("/predictions/{prediction_id}/mask"),
    post("/predictions/{prediction_id}/review", INSPECTOR, data={"accept": "true"}),
    get("/predictions/{prediction_id}/reviews"),
    post("/batches", INSPECTOR, json={"images": [1]}),
    get("/batches"),
    get("/batches/{batch_id}"),
    get("/drift"),
    get("/drift/{domain}"),
    post("/drift/{domain}/calibrate", TRAINER, json={}),
    post("/drift/{domain}/restart", TRAINER),
    get("/proposals"),
    get("/proposals/{proposal_id}"),
    post(
        "/proposals/{proposal_id}/accept",
        TRAINER,
        json={"name": "b", "modality": "rt", "classes": ["background", "pore"]},
    ),
    post("/proposals/{proposal_id}/dismiss", TRAINER),
)
# The same address asks for more where it would do more.
STRICTER = (
    Route("PUT", "/aliases/{name}", ADMIN, {"json": {"version": "welds/1", "reason": "must", "force": True}}),
    get("/models/{line}/{number}/files/{name}", TRAINER, fill={"name": "state.safetensors"}),
    get("/models/{line}/{number}/files/{name}", TRAINER, fill={"name": "serving.safetensors"}),
    post("/uploads", TRAINER, headers={**TUS, "Upload-Length": "3", "Upload-Metadata": "domain YQ=="}),
)
