"""What the C++ of training and of decoding share: compiling, vectors, storage types."""
