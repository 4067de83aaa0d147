"""Simulated phased-array ultrasonic scans of polyethylene joints: the settings, the ready domains, the simulator."""

from seamwise.vision.welds.phased_array_domains import PHASED_ARRAY_DOMAINS
from seamwise.vision.welds.phased_array_settings import PhasedArray
from seamwise.vision.welds.scan import simulate_scan

__all__ = ["PHASED_ARRAY_DOMAINS", "PhasedArray", "simulate_scan"]
