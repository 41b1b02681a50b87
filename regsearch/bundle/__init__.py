"""Reading a bundle: what `regsearch export` wrote, without optuna and without mlflow."""

from regsearch.bundle.files import Bundle, open_bundle, read_config
from regsearch.bundle.form import Form
from regsearch.bundle.loading import load, load_config, to_trust
from regsearch.bundle.settings import Settings

__all__ = ["Bundle", "Form", "Settings", "load", "load_config", "open_bundle", "read_config", "to_trust"]
