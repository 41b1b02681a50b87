"""A bundle in production: as an MLflow model that is registered and served, and as ONNX. Nothing is pickled."""

from regsearch.serving.onnx import to_onnx
from regsearch.serving.pyfunc import PREDICT_METHOD, Served
from regsearch.serving.registry import Registered, register, save_model

__all__ = ["PREDICT_METHOD", "Registered", "Served", "register", "save_model", "to_onnx"]
