//! One TLS provider for all that speaks it.

/// Makes ring the provider of this process. Whoever was first has chosen the same one.
pub fn install() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
