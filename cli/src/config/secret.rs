//! What must not be seen: a secret that no `{:?}` shows, and a URL that shows all but its password.

use std::fmt;

use reqwest::Url;

pub const HIDDEN: &str = "***";

#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where a server is, and perhaps the password that it asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for whoever has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl ServerUrl {
    /// An error never repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|e| e.to_string())?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("no host".to_owned());
        }
        Ok(Self(url))
    }

    /// The same with who asks there.
    pub fn with_login(mut self, user: &str, password: &Secret) -> Self {
        // What looks encoded is taken for it, and is not.
        let plain = |text: &str| text.replace('%', "%25");
        // A URL with a host, which this one has, takes both.
        let _ = self.0.set_username(&plain(user));
        let _ = self.0.set_password(Some(&plain(password.expose())));
        self
    }

    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The URL with its password, for whoever connects.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            // A URL with a password has a host, which is all that this needs.
            let _ = shown.set_password(Some(HIDDEN));
        }
        // Settings behind a question mark may be secrets as well.
        if shown.query().is_some() {
            shown.set_query(Some(HIDDEN));
        }
        write!(f, "{shown}")
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2".into()))), "Some(***)");
        let url = ServerUrl::parse("rediss://fleet:hunter2@redis:6380/1?sesame=open").unwrap();
        assert_eq!(format!("{url:?} {url}"), "rediss://fleet:***@redis:6380/1?*** rediss://fleet:***@redis:6380/1?***");
        assert_eq!(url.expose(), "rediss://fleet:hunter2@redis:6380/1?sesame=open");
        let sentinel = ServerUrl::parse("rediss://redis-1:26379").unwrap();
        let sentinel = sentinel.with_login("we", &Secret::new("h@nter/2: %41".into()));
        assert_eq!(sentinel.expose(), "rediss://we:h%40nter%2F2%3A%20%2541@redis-1:26379");
        assert_eq!(format!("{sentinel:?}"), "rediss://we:***@redis-1:26379");
        for bad in ["hunter2", "redis://fleet:hunter2@host:port", "redis:hunter2", "redis://"] {
            assert!(!ServerUrl::parse(bad).unwrap_err().contains("hunter2"), "{bad}");
        }
    }
}
