"""Which index a filtered list walks along."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from seamwise.storage.along import along_index
from seamwise.storage.tables import Annotation, Image, Job, Prediction, Side


@pytest.mark.parametrize(
    ("kind", "wanted", "order"),
    [
        (Image, (Image.domain_id == 1,), "image.domain_id DESC, image.id DESC"),
        (
            Image,
            (Image.side == Side.TEST, Image.domain_id == 1, Image.deleted_at.is_(None)),
            "image.domain_id DESC, image.side DESC, image.id DESC",
        ),
        (Image, (Image.domain_id.is_(None),), "image.domain_id DESC, image.id DESC"),
        (Prediction, (Prediction.domain_id == 1,), "prediction.domain_id DESC, prediction.id DESC"),
        (Job, (Job.line == "main", Job.worker == "w"), "job.line DESC, job.id DESC"),
        (Job, (), None),
        (Job, (Job.id > 3, Job.worker == "w"), None),
        (Annotation, (Annotation.image_id == 1,), None),
        (Image, ((Image.domain_id == 1) | (Image.domain_id == 2),), None),
    ],
)
def test_the_longest_index_that_fits_is_walked(kind: Any, wanted: tuple[Any, ...], order: str | None) -> None:
    walk = along_index(select(kind).where(*wanted), kind.id, None, newest_first=True)
    if order is None:
        assert walk is None
    else:
        assert walk is not None
        assert str(walk.compile(dialect=postgresql.dialect())).endswith(f"ORDER BY {order}")


def test_a_deep_page_enters_the_index_at_its_row() -> None:
    walk = along_index(select(Image).where(Image.domain_id == 1), Image.id, 500, newest_first=True)
    assert "(image.domain_id, image.id) < (" in str(walk)
    assert "domain_id = " not in str(walk)
