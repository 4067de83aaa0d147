"""Workers: claim jobs, run each in a process of its own, and see to it that nothing is lost when one dies."""
