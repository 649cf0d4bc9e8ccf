"""The sample of held-out text that a run is evaluated on during training."""

import numpy as np

from bytelm.shards import Split

# Bytes in a piece: enough for most of them to have a long context.
PIECE = 1024


def held_out_sample(split: Split, total_bytes: int) -> list[bytes]:
    """About `total_bytes` of text in pieces of PIECE bytes, evenly spread over the split.

    If the split has at most `total_bytes`, the result is all its documents. Where documents are
    shorter than PIECE, a place gives several whole neighbours. A piece of every document would not
    do: with many documents, the pieces would be too short. Neither would the documents' beginnings:
    their licences and imports differ from the rest.
    """
    if split.bytes <= total_bytes:
        return [document.tobytes() for document in split]
    ends = np.cumsum(split.lengths_N)
    count = max(1, total_bytes // PIECE)
    places: dict[tuple[int, int], None] = {}
    for index in range(count):
        at = (2 * index + 1) * split.bytes // (2 * count)
        document = int(np.searchsorted(ends, at, side="right"))
        length = int(split.lengths_N[document])
        middle = at - (int(ends[document]) - length)
        places[document, max(0, min(middle - PIECE // 2, length - PIECE))] = None
        room = PIECE - length
        while document + 1 < len(split) and (length := int(split.lengths_N[document + 1])) <= room:
            document, room = document + 1, room - length
            places[document, 0] = None
    return [split.document(document)[start:][:PIECE].tobytes() for document, start in places]
