"""The decoding step in C++ for CPUs.

It runs ragged batches, and a row's logits have the same bits at any block width.
"""
