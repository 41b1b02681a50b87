"""Reading a bundle: what `regsearch export` wrote, without optuna and without mlflow."""

from regsearch.export.bundle.files import Bundle, open_bundle, read_config
from regsearch.export.bundle.loading import load, load_config, to_trust
from regsearch.export.bundle.schema import Form
from regsearch.export.bundle.settings import Settings

__all__ = ["Bundle", "Form", "Settings", "load", "load_config", "open_bundle", "read_config", "to_trust"]
