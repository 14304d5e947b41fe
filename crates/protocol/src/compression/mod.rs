//! Gzip, snappy, lz4 and zstd.
