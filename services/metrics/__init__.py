"""The metrics service: follows the feed of standings and answers counts and rates per unit."""
