//! Gathering values from their sources.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::settings::{Kind, SETTINGS, Setting};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret in a file of its own cannot be read.
    #[error("the credential {} cannot be read; CREDENTIALS_DIRECTORY names its folder", path.display())]
    Credential {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not TOML", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that no setting has.
    #[error("unknown setting {key:?} in {origin}; `stxworx config example` lists all of them{}", nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was set.
        origin: String,
        /// A setting with a similar name.
        nearest: Option<&'static str>,
    },
    /// A value that the setting cannot take.
    #[error("{key} = {value} (from {origin}) must be {expected}")]
    Invalid {
        /// The setting.
        key: String,
        /// The value; hidden if secret.
        value: String,
        /// Where it was set.
        origin: String,
        /// The expected form.
        expected: String,
    },
}

/// The folder of credentials, as systemd names it.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where settings come from.
pub struct Sources<'a> {
    /// The file, if one is named. A named file must exist.
    pub file: Option<&'a Path>,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Flags: key and TOML value.
    pub flags: Vec<(&'static str, Value)>,
}

/// Values by key, with their origins.
pub(super) struct Values(BTreeMap<&'static str, (Value, String)>);

fn parse(setting: &Setting, text: &str) -> Option<Value> {
    match setting.kind {
        Kind::Text => Some(Value::String(text.to_owned())),
        Kind::Integer => text.trim().parse().ok().map(Value::Integer),
        Kind::Boolean => text.trim().parse().ok().map(Value::Boolean),
        Kind::List => Some(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        )),
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text, Value::String(_))
        | (Kind::Integer, Value::Integer(_))
        | (Kind::Boolean, Value::Boolean(_)) => true,
        (Kind::List, Value::Array(items)) => items.iter().all(Value::is_str),
        _ => false,
    }
}

fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text in quotes",
        Kind::Integer => "a whole number",
        Kind::Boolean => "true or false",
        Kind::List => "a list of texts",
    }
}

fn flatten(prefix: &str, table: &Table, out: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) => flatten(&key, inner, out),
            other => out.push((key, other.clone())),
        }
    }
}

/// The setting whose key shares most letters pairwise with this one, if it is close.
fn nearest(key: &str) -> Option<&'static str> {
    let pairs =
        |text: &str| -> Vec<(char, char)> { text.chars().zip(text.chars().skip(1)).collect() };
    let wanted = pairs(key);
    let score = |candidate: &str| {
        let theirs = pairs(candidate);
        let common = wanted.iter().filter(|p| theirs.contains(p)).count();
        (common * 2 * 100)
            .checked_div(wanted.len() + theirs.len())
            .unwrap_or(0)
    };
    SETTINGS
        .iter()
        .map(|s| (score(s.key), s.key))
        .max()
        .filter(|(s, _)| *s >= 60)
        .map(|(_, k)| k)
}

impl Values {
    pub(super) fn gather(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut values = Self(BTreeMap::new());
        for setting in SETTINGS {
            let default = format!("v = {}", setting.default).parse::<Table>().ok();
            let default = default.and_then(|mut t| t.remove("v"));
            if let Some(default) = default {
                values
                    .0
                    .insert(setting.key, (default, "default".to_owned()));
            }
        }
        if let Some(path) = sources.file {
            values.add_file(path)?;
        }
        values.add_credentials(sources)?;
        for setting in SETTINGS {
            let name = setting.env();
            let Some(text) = (sources.env)(&name) else {
                continue;
            };
            let value = parse(setting, &text).unwrap_or(Value::String(text));
            values.set(setting, value, format!("environment variable {name}"))?;
        }
        for (key, value) in &sources.flags {
            if let Some(setting) = SETTINGS.iter().find(|s| s.key == *key) {
                values.set(setting, value.clone(), "the command line".to_owned())?;
            }
        }
        Ok(values)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let table: Table = text.parse().map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let mut found = Vec::new();
        flatten("", &table, &mut found);
        let origin = path.display().to_string();
        for (key, value) in found {
            let Some(setting) = SETTINGS.iter().find(|s| s.key == key) else {
                let nearest = nearest(&key);
                return Err(ConfigError::UnknownKey {
                    key,
                    origin,
                    nearest,
                });
            };
            self.set(setting, value, origin.clone())?;
        }
        Ok(())
    }

    /// Secrets that a service manager hands over as files, each named like its setting (systemd: LoadCredential=; a
    /// container's secrets, with the folder in the same variable).
    fn add_credentials(&mut self, sources: &Sources<'_>) -> Result<(), ConfigError> {
        let Some(folder) = (sources.env)(CREDENTIALS) else {
            return Ok(());
        };
        for setting in SETTINGS.iter().filter(|s| s.secret) {
            let path = Path::new(&folder).join(setting.key);
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(ConfigError::Credential { path, source }),
            };
            let value = Value::String(text.trim_end_matches(['\r', '\n']).to_owned());
            self.set(setting, value, format!("credential {}", setting.key))?;
        }
        Ok(())
    }

    fn set(&mut self, setting: &Setting, value: Value, origin: String) -> Result<(), ConfigError> {
        if !fits(setting.kind, &value) {
            return Err(ConfigError::Invalid {
                key: setting.key.to_owned(),
                value: shown(setting, &value),
                origin,
                expected: form(setting.kind).to_owned(),
            });
        }
        self.0.insert(setting.key, (value, origin));
        Ok(())
    }

    fn get(&self, key: &str) -> Result<&(Value, String), ConfigError> {
        self.0.get(key).ok_or_else(|| ConfigError::UnknownKey {
            key: key.to_owned(),
            origin: "the program".to_owned(),
            nearest: None,
        })
    }

    pub(super) fn invalid(&self, key: &str, expected: &str) -> ConfigError {
        let setting = SETTINGS.iter().find(|s| s.key == key);
        let (value, origin) = match (self.0.get(key), setting) {
            (Some((value, origin)), Some(setting)) => (shown(setting, value), origin.clone()),
            _ => (String::new(), String::new()),
        };
        ConfigError::Invalid {
            key: key.to_owned(),
            value,
            origin,
            expected: expected.to_owned(),
        }
    }

    pub(super) fn invalid_item(&self, key: &str, item: &str, expected: &str) -> ConfigError {
        let origin = self.0.get(key).map(|v| v.1.clone()).unwrap_or_default();
        ConfigError::Invalid {
            key: key.to_owned(),
            value: format!("{item:?}"),
            origin,
            expected: expected.to_owned(),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<String, ConfigError> {
        match &self.get(key)?.0 {
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.invalid(key, form(Kind::Text))),
        }
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        match &self.get(key)?.0 {
            Value::Array(items) => Ok(items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()),
            _ => Err(self.invalid(key, form(Kind::List))),
        }
    }

    pub(super) fn integer<T: TryFrom<i64>>(
        &self,
        key: &str,
        min: u64,
        max: u64,
    ) -> Result<T, ConfigError> {
        let wrong = || self.invalid(key, &format!("a whole number from {min} to {max}"));
        let Value::Integer(number) = self.get(key)?.0 else {
            return Err(wrong());
        };
        if !u64::try_from(number).is_ok_and(|n| (min..=max).contains(&n)) {
            return Err(wrong());
        }
        T::try_from(number).map_err(|_| wrong())
    }

    pub(super) fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        match self.get(key)?.0 {
            Value::Boolean(value) => Ok(value),
            _ => Err(self.invalid(key, form(Kind::Boolean))),
        }
    }

    pub(super) fn address(&self, key: &str) -> Result<SocketAddr, ConfigError> {
        self.text(key)?
            .parse()
            .map_err(|_| self.invalid(key, "IP:PORT, for instance 127.0.0.1:3700"))
    }

    pub(super) fn dump(&self) -> Vec<(&'static str, String, String)> {
        let dump = SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = self.0.get(setting.key)?;
            Some((setting.key, shown(setting, value), origin.clone()))
        });
        dump.collect()
    }
}

fn shown(setting: &Setting, value: &Value) -> String {
    let is_empty = value.as_str().is_some_and(str::is_empty);
    if setting.secret && !is_empty {
        "\"<hidden>\"".to_owned()
    } else {
        value.to_string()
    }
}
