"""Best fit, uncertainties, profile likelihood, posterior and comparison of models."""
