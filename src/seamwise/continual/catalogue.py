"""The methods by name: what the command line, forms, schemas and checkpoints are built from."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from seamwise.continual.ewc import OnlineEWC
from seamwise.continual.ewc_per_task import PerTaskEWC
from seamwise.continual.gem import GradientEpisodicMemory
from seamwise.continual.lfl import LessForgettingLearning
from seamwise.continual.lwf import LearningWithoutForgetting
from seamwise.continual.replay import Replay
from seamwise.continual.si import SynapticIntelligence
from seamwise.continual.strategy import Chain, Frozen, Strategy

Protocol = Literal["stream", "joint", "separate"]


@dataclass(frozen=True)
class Method:
    """A row of the catalogue. protocol "joint" learns all experiences at once, "separate" one model for each."""

    kind: type[Strategy]
    title: str
    protocol: Protocol = "stream"


METHODS: dict[str, Method] = {
    "finetuning": Method(Strategy, "plain training on each experience in turn"),
    "si": Method(SynapticIntelligence, "Synaptic Intelligence: importances measured online, no data kept"),
    "ewc": Method(OnlineEWC, "online Elastic Weight Consolidation with the exact diagonal Fisher information"),
    "ewc-per-task": Method(PerTaskEWC, "Elastic Weight Consolidation with a penalty for each experience"),
    "lwf": Method(LearningWithoutForgetting, "Learning without Forgetting: goes on answering as before, no data kept"),
    "lfl": Method(LessForgettingLearning, "Less-forgetting Learning: features stay close to what they were"),
    "replay": Method(Replay, "a bounded memory of samples, learned again beside the new ones"),
    "gem": Method(GradientEpisodicMemory, "Gradient Episodic Memory: no step may harm the samples kept of before"),
    "frozen": Method(Frozen, "learns the first experience and never moves again"),
    "joint": Method(Strategy, "all experiences at once: the usual upper reference", "joint"),
    "separate": Method(Strategy, "one model for each experience", "separate"),
}


@dataclass(frozen=True)
class Parameter:
    """A hyper-parameter of a method."""

    name: str
    type: Any
    default: Any


def parameters(name: str) -> dict[str, Parameter]:
    """Hyper-parameters of a strategy, in order; one that several parts of a chain have stands as `part.name`."""
    own = {part: _own(part) for part in name.split("+")}
    shared = {key for key, count in Counter(key for known in own.values() for key in known).items() if count > 1}
    return {f"{part}.{key}" if key in shared else key: p for part, known in own.items() for key, p in known.items()}


def settled(name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every hyper-parameter of a strategy with the value that was chosen for it, or its default.

    options: by the names of `parameters`; a plain name that several parts of a chain have is meant for all of them.
    Raises ValueError for a name that there is not.
    """
    known = parameters(name)
    values = {key: p.default for key, p in known.items()}
    for key, value in sorted((options or {}).items(), key=lambda item: item[0] in known):  # the exact name decides
        meant = [key] if key in known else [full for full in known if full.endswith(f".{key}")]
        if not meant:
            raise ValueError(f"{name} has no parameter {key!r}{nearest(key, list(known))}")
        values |= dict.fromkeys(meant, value)
    return values


def _own(part: str) -> dict[str, Parameter]:
    """Hyper-parameters of one method of the catalogue."""
    kind = _method(part).kind
    hints = get_type_hints(kind) if hasattr(kind, "__dataclass_fields__") else {}
    return {
        f.name: Parameter(f.name, hints[f.name], f.default)
        for f in (fields(kind) if hints else ())  # type: ignore[arg-type]
        if f.init and f.default is not MISSING
    }


def protocol(name: str) -> Protocol:
    """How the stream is shown to a strategy; a chain such as "si+replay" always goes through it in order."""
    parts = name.split("+")
    kinds = {_method(part).protocol for part in parts}
    if len(parts) > 1 and kinds != {"stream"}:
        raise ValueError(f"{name}: joint and separate stand alone, they cannot be chained")
    return kinds.pop()


def build_strategy(name: str, options: Mapping[str, Any] | None = None) -> Strategy:
    """A strategy by name: one of METHODS or several joined by "+"; options as `settled` takes them.

    Raises ValueError naming the nearest right name for an unknown method or parameter, or a value of the wrong type.
    """
    protocol(name)
    values, built = settled(name, options), []
    for part in name.split("+"):
        chosen = {key: values[key] if key in values else values[f"{part}.{key}"] for key in _own(part)}
        built.append(_method(part).kind(**{key: _checked(p, chosen[key], part) for key, p in _own(part).items()}))
    return built[0] if len(built) == 1 else Chain(*built)


def nearest(word: str, known: list[str]) -> str:
    """' (did you mean ...?)' with the closest names, or the list of all."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f" (did you mean {', '.join(close)}?)"
    return f" (there are: {', '.join(known)})" if known else " (it has none)"


def _method(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"no strategy {name!r}{nearest(name, list(METHODS))}")
    return METHODS[name]


def _checked(parameter: Parameter, value: Any, owner: str) -> Any:
    """The value in the parameter's type, or a ValueError that says what is allowed."""
    kind, wanted = parameter.type, f"{owner}: {parameter.name}"
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{wanted} must be one of {', '.join(map(str, get_args(kind)))}, not {value!r}")
        return value
    allowed = get_args(kind) or (kind,)
    if value is None and type(None) in allowed:
        return None
    if bool in allowed and isinstance(value, bool):
        return value
    if not isinstance(value, bool):
        if int in allowed and isinstance(value, int):
            return value
        if float in allowed and isinstance(value, int | float) and abs(value) <= sys.float_info.max:
            return float(value)
        if str in allowed and isinstance(value, str):
            return value
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in allowed)
    raise ValueError(f"{wanted} must be {names}, not {value!r}")
