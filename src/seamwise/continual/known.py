"""Which classes a model could answer before the experience it learns now."""

from __future__ import annotations

from typing import Any

from seamwise.continual.objective import ClassMask
from seamwise.continual.stream import Experience


class KnownClasses:
    """Task and class ids of the experiences learned so far, and the old heads that follow from them.

    seen: (task, class ids) of each experience; None and () where nobody said.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[int | None, tuple[int, ...]]] = []

    def __len__(self) -> int:
        return len(self.seen)

    def add(self, experience: Experience | None) -> None:
        self.seen.append((None, ()) if experience is None else (experience.task_id, tuple(experience.classes)))

    def heads(self, mask: ClassMask, outputs: int) -> list[tuple[int, ...]]:
        """Class ids of each old head, out of `outputs`; a head that several experiences share comes once.

        Where the mask gives tasks classes of their own, the heads are those of the earlier tasks. Otherwise there is
        one head with all classes that earlier experiences brought; if one of them did not say, with every class.
        """
        every = tuple(range(outputs))
        if mask.class_sets:
            sets = [every if task is None else mask.class_sets.get(task, every) for task, _ in self.seen]
        else:
            brought = [classes for _, classes in self.seen]
            sets = [tuple({k for classes in brought for k in classes}) if all(brought) else every]
        return list(dict.fromkeys(tuple(sorted(ids)) for ids in sets)) if self.seen else []

    def state_dict(self) -> dict[str, Any]:
        return {"seen": [[task, list(classes)] for task, classes in self.seen]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = [(None if task is None else int(task), tuple(map(int, ids))) for task, ids in state["seen"]]
