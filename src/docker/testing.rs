//! An engine that answers as scripted.
