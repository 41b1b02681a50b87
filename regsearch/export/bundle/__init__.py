"""Reading a bundle: what `regsearch export` wrote, without optuna and without mlflow."""

from regsearch.export.bundle.files import Bundle, open_bundle, read_config
from regsearch.export.bundle.loading import load, load_config, to_trust
from regsearch.export.bundle.schema import Form
from regsearch.export.bundle.settings import BundleSettings

__all__ = ["Bundle", "BundleSettings", "Form", "load", "load_config", "open_bundle", "read_config", "to_trust"]
