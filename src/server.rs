//! The running server: everything put together.
