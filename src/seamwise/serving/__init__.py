"""Serving: one version of a model answers while the next is loaded beside it; nothing here knows a database."""

from seamwise.serving.engine import Engine, at_size, mask_of, onnx_engine, torch_engine
from seamwise.serving.export import Agreement, ExportError, export_onnx
from seamwise.serving.follow import Follower, Following
from seamwise.serving.package import Loaded, Package, load_package, make_package, read_serving
from seamwise.serving.probes import Probe, SelfTestError, make_probes, self_test
from seamwise.serving.swap import Loader, NotServingError, Server, Status, Swap, SwapError

__all__ = [
    "Agreement",
    "Engine",
    "ExportError",
    "Follower",
    "Following",
    "Loaded",
    "Loader",
    "NotServingError",
    "Package",
    "Probe",
    "SelfTestError",
    "Server",
    "Status",
    "Swap",
    "SwapError",
    "at_size",
    "export_onnx",
    "load_package",
    "make_package",
    "make_probes",
    "mask_of",
    "onnx_engine",
    "read_serving",
    "self_test",
    "torch_engine",
]
