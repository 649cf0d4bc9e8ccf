"""The decoding step in C++ for CPUs: one ragged batch, no dispatch, the same bits at any width."""
