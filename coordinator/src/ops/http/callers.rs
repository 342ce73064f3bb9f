//! Who asks, and what they may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use framefleet_common::adapters::blob::within::{self, Within};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::terms::Tenant;
use framefleet_model::watermark;

use super::tokens::Hash;
use crate::inbox::Wanted;

const NAME_BYTES_MAX: usize = 64;
const ODD_SCOPE: &str = "has a scope that is none of submit, read and admin";
const ODD_TENANT: &str = "has a tenant that is not 1 to 32 of a-z, 0-9, - and _";
const ODD_PLACE: &str =
    "has a place that is no folder such as s3://bucket/folder/, file:///folder/ or https://host/folder/";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Submit,
    Read,
    /// All of it.
    Admin,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// Whose jobs it sees and submits; `None`: everybody's.
    pub tenants: Option<BTreeSet<Tenant>>,
    /// What all that it names must lie below; `None`: whatever the fleet reaches.
    pub places: Option<Vec<Within>>,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Submit, Self::Read, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == name);
        found.ok_or_else(|| format!("{name:?} is no scope: submit, read or admin"))
    }
}

impl Caller {
    /// Whoever comes where nobody is asked for a token.
    pub(super) fn anybody() -> Self {
        Self { name: "anybody".to_owned(), scopes: Scope::ALL.into(), tenants: None, places: None }
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    pub(super) fn sees(&self, tenant: &Tenant) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }

    /// Whose a job is that this caller asks for; `named` is whose the job itself says that it is.
    pub(super) fn tenant_for(&self, named: Option<Tenant>) -> Result<Tenant, Fault> {
        let all = |tenants: &BTreeSet<Tenant>| tenants.iter().map(Tenant::as_str).collect::<Vec<_>>().join(", ");
        match (named, &self.tenants) {
            (Some(tenant), Some(own)) if !own.contains(&tenant) => {
                let text = format!("token {} asks for jobs of: {}, not of {tenant}", self.name, all(own));
                Err(Fault::new(FaultKind::Forbidden, text))
            }
            (Some(tenant), _) => Ok(tenant),
            (None, None) => Ok(Tenant::default()),
            (None, Some(own)) => match own.first().filter(|_| own.len() == 1) {
                Some(sole) => Ok(sole.clone()),
                None => {
                    let text = format!("the job names no tenant, and token {} has several: {}", self.name, all(own));
                    Err(Fault::new(FaultKind::Settings, text))
                }
            },
        }
    }

    /// Every place that is named: the source, images that mark pictures, outputs.
    pub(super) fn check_places(&self, wanted: &Wanted) -> Result<(), Fault> {
        let Some(places) = &self.places else { return Ok(()) };
        let check = |url: &str| {
            if places.iter().any(|place| place.holds(url)) {
                return Ok(());
            }
            let own = places.iter().map(Within::to_string).collect::<Vec<_>>().join(", ");
            let text = format!("{} does not lie below a place of token {}: {own}", within::shown(url), self.name);
            Err(Fault::new(FaultKind::Forbidden, text))
        };
        match wanted {
            Wanted::Outputs(request) => {
                check(&request.source)?;
                let settings = request.outputs.iter().filter_map(|output| output.video.as_ref());
                watermark::images(settings).into_iter().try_for_each(|(image, _)| check(image))?;
                request.outputs.iter().try_for_each(|output| check(&output.to))
            }
            // Images of a pipeline are the configuration's.
            Wanted::Pipeline(through) => {
                check(&through.source)?;
                check(&through.into.folder())
            }
        }
    }

    /// What is the whole fleet's is for those alone who see all of it.
    pub(super) fn check_sees_all(&self, what: &str) -> Result<(), Fault> {
        match &self.tenants {
            None => Ok(()),
            Some(_) => {
                let text = format!("{what} are the whole fleet's, and token {} is bound to tenants", self.name);
                Err(Fault::new(FaultKind::Forbidden, text))
            }
        }
    }

    /// As it stands in the file.
    pub fn line(&self, hash: &Hash) -> String {
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.name()).collect();
        let tenants = self.tenants.as_ref().map(|tenants| {
            let tenants: Vec<&str> = tenants.iter().map(Tenant::as_str).collect();
            format!(" tenants={}", tenants.join(","))
        });
        let places = self.places.as_ref().map(|places| {
            let places: Vec<String> = places.iter().map(|place| place.to_string().replace(',', "%2C")).collect();
            format!(" places={}", places.join(","))
        });
        let (tenants, places) = (tenants.unwrap_or_default(), places.unwrap_or_default());
        format!("{} scopes={}{tenants}{places} sha256={}", self.name, scopes.join(","), hash.digits())
    }

    /// What a line says. An error does not repeat it: who mistakes a line may have put a token there.
    pub(super) fn parse(line: &str) -> Result<(Self, Hash), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        check_name(name)?;
        let (mut scopes, mut tenants, mut places, mut hash) = (None, None, None, None);
        for word in words {
            let taken = match word.split_once('=') {
                Some(("scopes", list)) => scopes.replace(set(list).map_err(|_| ODD_SCOPE)?).is_some(),
                Some(("tenants", list)) => tenants.replace(set(list).map_err(|_| ODD_TENANT)?).is_some(),
                Some(("places", list)) => places.replace(self::places(list).map_err(|_| ODD_PLACE)?).is_some(),
                Some(("sha256", digits)) => hash.replace(Hash::parse(digits)?).is_some(),
                _ => {
                    return Err("has a word that begins with none of scopes=, tenants=, places= and sha256=".to_owned());
                }
            };
            if taken {
                return Err("says scopes=, tenants=, places= or sha256= twice".to_owned());
            }
        }
        let scopes = scopes.ok_or("has no scopes=")?;
        let hash = hash.ok_or("has no sha256=")?;
        Ok((Self { name: name.to_owned(), scopes, tenants, places }, hash))
    }
}

/// Of names that log lines and files can hold.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        Ok(())
    } else {
        Err(format!("has a name that is not 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, -, _ and ."))
    }
}

/// Names with commas between them, one at least.
pub fn set<T: FromStr<Err: fmt::Display> + Ord>(list: &str) -> Result<BTreeSet<T>, String> {
    list.split(',').map(|name| name.trim().parse().map_err(|e: T::Err| e.to_string())).collect()
}

/// Folders with commas between them, one at least; a comma in a name is `%2C` there.
pub fn places(list: &str) -> Result<Vec<Within>, String> {
    list.split(',').map(|place| Within::parse(place.trim()).map_err(|fault| fault.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::http::tokens;

    fn caller(scopes: &str, tenants: Option<&str>) -> Caller {
        let tenants = tenants.map(|tenants| set(tenants).unwrap());
        Caller { name: "ci".to_owned(), scopes: set(scopes).unwrap(), tenants, places: None }
    }

    #[test]
    fn a_line_says_who_may_what_and_is_written_as_it_is_read() {
        let token = tokens::token([7; 32]);
        let bound = Caller {
            places: Some(places("s3://media/news, file:///srv/a%2Cb%20c/").unwrap()),
            ..caller("submit", Some("news"))
        };
        for caller in [caller("submit,read", Some("news,sport")), caller("admin", None), bound] {
            let line = caller.line(&Hash::of(&token));
            assert!(!line.contains(&token) && !line.contains("0707"), "{line}");
            let (again, hash) = Caller::parse(&line).unwrap();
            assert_eq!(again, caller);
            assert_eq!(hash.digits(), Hash::of(&token).digits());
        }
        assert_eq!(
            Hash::of("abc").digits(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "SHA-256 as everybody has it"
        );
    }

    #[test]
    fn scopes_and_tenants_bound_a_caller() {
        let (reader, admin) = (caller("read", Some("news")), caller("admin", None));
        assert_eq!(Scope::ALL.map(|scope| reader.may(scope)), [false, true, false]);
        assert_eq!(Scope::ALL.map(|scope| admin.may(scope)), [true; 3]);
        assert!(reader.sees(&"news".parse().unwrap()) && !reader.sees(&Tenant::default()));
        assert!(admin.sees(&Tenant::default()));
        let news: Tenant = "news".parse().unwrap();
        assert_eq!(reader.tenant_for(None), Ok(news.clone()), "its sole tenant");
        assert_eq!(reader.tenant_for(Some(news)), Ok("news".parse().unwrap()));
        let other = reader.tenant_for(Some(Tenant::default())).unwrap_err();
        assert_eq!(
            (other.kind, other.message.as_str()),
            (FaultKind::Forbidden, "token ci asks for jobs of: news, not of default")
        );
        let several = caller("submit", Some("news,sport")).tenant_for(None).unwrap_err();
        assert_eq!(several.kind, FaultKind::Settings);
        assert!(admin.check_sees_all("letters").is_ok() && reader.check_sees_all("letters").is_err());
    }
}
