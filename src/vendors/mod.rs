//! A section of `vendors:`, or a service of a Compose file: read, checked, nothing resolved yet. What is not supported is named, never dropped.
