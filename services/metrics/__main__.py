"""`python -m services.metrics` runs the metrics service; `python -m services.metrics rebuild` counts anew."""

from services.metrics.app import main

# The processes that help to count anew import this, too.
if __name__ == "__main__":
    main()
