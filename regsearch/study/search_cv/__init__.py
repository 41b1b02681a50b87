"""scikit-learn's own interface to a search."""

from __future__ import annotations

from regsearch.study.search_cv.search import RegSearchCV

__all__ = ["RegSearchCV"]
