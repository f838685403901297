"""Coverage-guided fuzzing of what reads other people's bytes: the lexer, the digest, and the readers of uploads.

    make fuzz FUZZ_SECONDS=600

runs every target of `fuzzing.targets` for so long with atheris (Apache-2.0; the extra `fuzz`, on Linux), seeded
with `samples.code` and files of the standard library, and keeps what reached something new under .fuzz/. One target
alone, or one input again:

    PYTHONPATH=.:tests NUMBA_DISABLE_JIT=1 python -m fuzzing lexer .fuzz/lexer -max_total_time=600
    PYTHONPATH=.:tests NUMBA_DISABLE_JIT=1 python -m fuzzing lexer crash-...

Kernels run as plain Python there, which atheris can follow and in which an index beyond an array's end raises; compiled
it would read or write other memory. Negative indexes raise as well (`fuzzing.bounds`). Afterwards

    PYTHONPATH=.:tests NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=/tmp/checked python -m fuzzing.replay .fuzz

holds the compiled kernels to the same laws, and to the plain ones: it prints a hash of what was read of every input,
which is the same with NUMBA_DISABLE_JIT=1.
"""
