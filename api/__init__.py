"""The HTTP service: takes scans, gives verdicts. Endpoints parse by type, call one function, and return its row."""
