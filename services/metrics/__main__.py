"""`python -m services.metrics` runs the metrics service; `python -m services.metrics rebuild` counts anew."""

from services.metrics.app import main

main()
