"""Numbers of records in addresses."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from seamwise.storage.rows import LARGEST_ID

Id = Annotated[int, Path(ge=1, le=LARGEST_ID, description="The record's number.")]
