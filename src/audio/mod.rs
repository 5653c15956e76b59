//! G.711, WAV, tones and levels.
