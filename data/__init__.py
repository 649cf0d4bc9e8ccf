"""Source trees, packages and datasets become byte shards and a manifest."""
