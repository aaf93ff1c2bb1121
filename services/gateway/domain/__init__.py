"""Pure rules: which scope opens which route."""
