//! Applications, URLs and TLS identity recognised incrementally from payload.
