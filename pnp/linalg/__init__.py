"""Chains of small coupled blocks, solved for many cases at once. No physics.

The last axis of every array is the batch (`batching`). Each operation has an implementation on arrays and, on CPUs, an
optional compiled one (`_cpu`); `dispatch` chooses.
"""
