"""Caches of folds, disposable: rebuilt from the log whenever somebody doubts them."""
