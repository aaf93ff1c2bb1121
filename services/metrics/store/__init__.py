"""All SQL of the metrics service: what is counted is written and read here."""
