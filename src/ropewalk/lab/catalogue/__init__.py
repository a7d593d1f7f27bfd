"""The shipped scenarios: TOML files by family, and functions in the modules beside them."""
