//! One TLS provider for all that speaks it.

/// Makes ring the provider of this process. `Err`: it has one already, which is the same.
pub fn install() -> Result<(), ()> {
    rustls::crypto::ring::default_provider().install_default().map_err(drop)
}
