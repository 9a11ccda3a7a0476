//! From the table of the catalogue to types: one macro for what events are made of, one for events.

use crate::events::field::FieldType;

/// One topic of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSchema {
    /// As printed.
    pub topic: &'static str,
    /// Version of its fields.
    pub version: u128,
    /// Names as printed, with their types.
    pub fields: Vec<(String, FieldType)>,
}

/// What one contract prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractSchema {
    /// The contract's name.
    pub contract: &'static str,
    /// Its topics.
    pub topics: Vec<TopicSchema>,
}

/// Tuples that stand in fields.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
            pub struct $name {
                $(#[doc = concat!("Field `", stringify!($field), "`.")] pub $field: $type,)*
            }

            impl crate::events::field::Field for $name {
                fn field_type() -> crate::events::field::FieldType {
                    crate::events::field::FieldType::Tuple(vec![
                        $((crate::events::field::name(stringify!($field)), <$type as crate::events::field::Field>::field_type()),)*
                    ])
                }

                fn read(value: crate::codec::ValueRef<'_>) -> Option<Self> {
                    const WIDTH: usize = [$(stringify!($field)),*].len();
                    (crate::events::field::width(value)? == WIDTH).then_some(())?;
                    Some(Self { $($field: crate::events::field::read_named(value, stringify!($field))?,)* })
                }

                fn write(&self) -> Option<crate::codec::Value> {
                    let fields = [$((crate::events::field::name(stringify!($field)), crate::events::field::Field::write(&self.$field)?)),*];
                    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.clone()));
                    crate::codec::Value::tuple(fields).ok()
                }
            }
        )*
    };
}

/// Events, by contract.
macro_rules! catalogue {
    ($($(#[$contract_doc:meta])* $module:ident $event:ident $contract:literal {
        $($(#[$doc:meta])* $name:ident $topic:literal $version:literal { $($field:ident: $type:ty),* })*
    })*) => {
        $(
            #[doc = concat!("Events of `", $contract, "`.")]
            pub mod $module {
                use super::*;

                $(#[$contract_doc])*
                #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
                #[serde(untagged)]
                pub enum $event {
                    $($(#[$doc])* $name($name),)*
                }

                parts! { $($(#[$doc])* $name { $($field: $type),* })* }

                impl $event {
                    /// The contract's name.
                    pub const CONTRACT: &'static str = $contract;

                    /// As printed.
                    pub fn topic(&self) -> &'static str {
                        match self { $(Self::$name(_) => $topic,)* }
                    }

                    pub(in crate::events) fn read(topic: &str, version: u128, data: crate::codec::ValueRef<'_>) -> Result<Self, crate::events::Reason> {
                        match topic {
                            $($topic if version == $version => <$name as crate::events::field::Field>::read(data)
                                .map(Self::$name)
                                .ok_or(crate::events::Reason::Shape),)*
                            $($topic => Err(crate::events::Reason::Version(version)),)*
                            _ => Err(crate::events::Reason::Topic),
                        }
                    }

                    /// Version and data as printed; `None` for a text that is no `string-ascii`.
                    pub fn write(&self) -> Option<(u128, crate::codec::Value)> {
                        match self {
                            $(Self::$name(event) => crate::events::field::Field::write(event).map(|v| ($version, v)),)*
                        }
                    }
                }
            }
        )*

        /// Every contract with its topics.
        pub fn schema() -> Vec<crate::events::schema::ContractSchema> {
            vec![$(crate::events::schema::ContractSchema {
                contract: $contract,
                topics: vec![$(crate::events::schema::TopicSchema {
                    topic: $topic,
                    version: $version,
                    fields: match <$module::$name as crate::events::field::Field>::field_type() {
                        crate::events::field::FieldType::Tuple(fields) => fields,
                        _ => Vec::new(),
                    },
                },)*],
            },)*]
        }
    };
}

pub(super) use {catalogue, parts};
