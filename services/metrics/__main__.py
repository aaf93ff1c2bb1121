"""`python -m services.metrics` runs the metrics service; `python -m services.metrics rebuild` counts anew."""

# The processes that help to count anew import this, too, and need no more of it.
if __name__ == "__main__":
    from services.metrics.app import main

    main()
