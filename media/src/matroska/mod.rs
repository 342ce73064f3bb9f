//! Matroska.
