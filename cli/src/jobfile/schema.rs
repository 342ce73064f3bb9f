//! How a job file looks, for the API's document: made of the types that read one.

use std::borrow::Cow;

use framefleet_coordinator::ops::http::NamedSchema;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::JobFile;
use crate::asked::Text;
use crate::config::pipelines::AskedRules;

/// A scalar, or a list of them.
pub struct Scalars;

/// A job file and all that it is made of.
pub fn schemas() -> Vec<NamedSchema> {
    let mut schemas = vec![
        (JobFile::name().into_owned(), JobFile::schema()),
        (AskedRules::name().into_owned(), AskedRules::schema()),
    ];
    JobFile::schemas(&mut schemas);
    schemas
}

fn scalar() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Number, Type::Boolean])).build()
}

fn list() -> Array {
    ArrayBuilder::new().items(scalar()).build()
}

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        scalar().into()
    }
}

impl ToSchema for Text {
    fn name() -> Cow<'static, str> {
        "Scalar".into()
    }
}

impl PartialSchema for Scalars {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new().item(scalar()).item(list()).into()
    }
}

impl ToSchema for Scalars {}

/// Either a word, or a map of these keys.
pub fn word_or(keys: &[&str]) -> RefOr<Schema> {
    let closed = || ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let settings = keys.iter().fold(closed(), |settings, key| match *key {
        "tracks" => settings.property(*key, Scalars::schema()),
        "loudness" => {
            let parts =
                ["integrated", "true_peak"].into_iter().fold(closed(), |parts, key| parts.property(key, scalar()));
            settings.property(*key, OneOfBuilder::new().item(scalar()).item(parts))
        }
        key => settings.property(key, scalar()),
    });
    let word = ObjectBuilder::new().schema_type(Type::String);
    OneOfBuilder::new().item(word).item(settings).into()
}

macro_rules! word_or_settings {
    ($name:ident as $called:literal, $($key:ident),*) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::jobfile::schema::word_or(&[$(stringify!($key)),*])
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $called.into()
            }
        }
    };
}
pub(crate) use word_or_settings;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;

    use super::*;
    use crate::asked::steps::{AskedPrefetch, AskedSql, AskedStep, AskedWebhook};
    use crate::asked::{AskedAudio, AskedGif, AskedOutput, AskedSprites, AskedThumbnails, AskedVideo, AskedWatermark};
    use crate::jobfile::Segment;
    use crate::packaging::{AskedDash, AskedHls, AskedRung};

    /// The keys that a type reads, as its refusal of another lists them.
    fn read<T: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
        let refusal = serde_json::from_str::<T>("{\"?\": 0}").err().unwrap().to_string();
        refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    /// The keys that its schema has, which has no others.
    fn described<T: ToSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let object = schema["oneOf"].as_array().map_or(&schema, |forms| &forms[1]);
        assert_eq!(object["additionalProperties"], false, "{schema}");
        object["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn a_job_files_schema_has_the_keys_that_are_read() {
        fn check<T: ToSchema + for<'de> Deserialize<'de>>() {
            assert_eq!(described::<T>(), read::<T>(), "{}", T::name());
        }
        check::<JobFile>();
        check::<Segment>();
        check::<AskedOutput>();
        check::<AskedVideo>();
        check::<AskedAudio>();
        check::<AskedWatermark>();
        check::<AskedThumbnails>();
        check::<AskedSprites>();
        check::<AskedGif>();
        check::<AskedHls>();
        check::<AskedDash>();
        check::<AskedRung>();
        check::<AskedStep>();
        check::<AskedWebhook>();
        check::<AskedSql>();
        check::<AskedPrefetch>();
    }

    #[test]
    fn every_part_of_a_job_file_has_a_schema() {
        let schemas = schemas();
        let text = serde_json::to_string(&schemas).unwrap();
        let named = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in named {
            assert!(schemas.iter().any(|(known, _)| known == name), "{name} is in no schema: {text}");
        }
    }
}
