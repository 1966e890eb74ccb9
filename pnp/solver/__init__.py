"""Newton's method with continuation, and curves followed by arc length."""
