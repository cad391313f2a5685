//! Packet and policy builders, generators and oracles for tests, benches and fuzzing.
