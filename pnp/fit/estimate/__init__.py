"""The best values, how well they are known, and which model explains the data."""
