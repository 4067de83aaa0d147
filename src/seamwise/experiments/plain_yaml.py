"""YAML in which 2e-3 is a number, as everybody expects (YAML 1.1, and PyYAML with it, wants 2.0e-3)."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; only plain values come out of it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_yaml(text: str) -> Any:
    """The plain value a text holds. Raises yaml.YAMLError where it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except ValueError as error:  # 2024-02-30 looks like a date
        raise yaml.YAMLError(str(error)) from error
