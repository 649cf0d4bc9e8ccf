"""Make byte shards and a manifest from source trees, packages and datasets."""
