"""One table, told once, reads the same as CSV, as an Excel sheet, as Arrow and as Parquet."""
