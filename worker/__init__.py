"""Celery workers: a job is planned, its chunks are classified under leases, and what was lost is found by the sweep."""
