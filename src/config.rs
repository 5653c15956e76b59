//! The configuration file, the environment, and what they mean.
