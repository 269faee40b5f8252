//! Where users are sent after deciding (RFC 5849 section 2.2, OAuth Core 1.0a section 6.1.1).
