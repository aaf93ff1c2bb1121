"""What motcua costs is measured here beside what anybody would use instead, in the same run on the same machine."""
