"""A bundle in production: as an MLflow model that is registered and served, and as ONNX. Nothing is pickled."""

from regsearch.export.serving.onnx import to_onnx
from regsearch.export.serving.pyfunc import PREDICT_METHOD, Served
from regsearch.export.serving.registry import Registered, register, save_model

__all__ = ["PREDICT_METHOD", "Registered", "Served", "register", "save_model", "to_onnx"]
