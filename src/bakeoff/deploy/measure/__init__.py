"""Latency, throughput and memory of trained models and exported files, taken again on this machine."""
