from __future__ import annotations

import numpy as np

from guard.layout import BUCKETS, IN_SHARD, STAMP, bucket_keys, document_id, document_key, shard_of


def test_a_buckets_key_tells_its_shard() -> None:
    places = np.arange(0, BUCKETS, 997, dtype=np.int64)
    keys = [row.tobytes() for row in bucket_keys(places, 3)]
    assert len({*keys}) == len(places)
    assert [shard_of(key) for key in keys] == (places // IN_SHARD).tolist()
    assert shard_of(STAMP) is None


def test_a_documents_key_is_its_id() -> None:
    for document in (0, 1, (1 << 24) - 1, 1 << 24, (1 << 40) - 1):
        assert document_id(document_key(document)) == document
