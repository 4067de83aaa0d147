"""Layer 2, task management: the jobs table is the truth, and a broker only a doorbell.

`enqueue` makes jobs, `attempts` is what a worker does with one, `control` what a person does, `reaper` what becomes of
jobs whose worker is gone, `lists` how they are seen; `states` says what may follow what, `doorbell` wakes the workers.
"""
