"""Pure rules: what a standing counts for, how counts become rates, what a period is, which unit succeeds which."""
