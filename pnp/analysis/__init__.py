"""What a user asks of a channel: steady states, I–V curves, batches, hysteresis, branches."""
