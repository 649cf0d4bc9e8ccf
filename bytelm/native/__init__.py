"""What the C++ of training and of decoding share: a compiler's call, vectors, storage types."""
