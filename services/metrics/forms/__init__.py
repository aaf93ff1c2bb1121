"""The pages that the law or a plan asks of a unit are laid out here from counts, without a look at any database."""
