"""Prefect flows: order, retries, schedules and a web page around the stages of eco_index.

No science here, and no Prefect in eco_index: ``eco run`` does the same work without a scheduler.
"""

import os

# Set before Prefect is imported, because it reads them then: nothing is reported to anyone.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
