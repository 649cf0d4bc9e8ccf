"""What a caller may ask of decoding."""

from dataclasses import dataclass

from bytelm.errors import InputError


@dataclass(frozen=True)
class DecodeOptions:
    """Neither `heads` nor `batch` changes a byte of the output, only the speed."""

    max_bytes: int = 1024
    """Bytes of a completion at most."""
    heads: int = 8
    """k: head 1 and k - 1 heads that draft; 1 is plain decoding."""
    batch: int = 16
    """Rows that run side by side."""
    stops: tuple[bytes, ...] = ()
    """Byte strings that end a completion; the earliest wins and is not part of it."""

    def check(self, prediction_heads: int) -> None:
        """Raise InputError for what the model cannot do."""
        if not 1 <= self.heads <= prediction_heads:
            raise InputError(
                f"--heads {self.heads}: this model has {prediction_heads} prediction heads, "
                f"so --heads must be 1 to {prediction_heads}"
            )
        for name, value in (("max-bytes", self.max_bytes), ("batch", self.batch)):
            if value < 1:
                raise InputError(f"--{name} must be at least 1, not {value}")
        if any(not stop for stop in self.stops):
            raise InputError("--stop: an empty stop would end every completion at once")
