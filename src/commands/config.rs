//! `stxworx config`.

use crate::config::Config;
use crate::post::OutputFormat;

/// Prints every setting as it is in force.
pub fn dump(config: &Config, output: OutputFormat) {
    match output {
        OutputFormat::Text => {
            for (key, value, origin) in &config.dump {
                crate::cli::say!("{key} = {value}  # {origin}");
            }
        }
        OutputFormat::Json => {
            let entries: serde_json::Map<_, _> = config
                .dump
                .iter()
                .map(|(key, value, origin)| {
                    let entry = serde_json::json!({ "value": value, "origin": origin });
                    ((*key).to_owned(), entry)
                })
                .collect();
            crate::cli::say!("{:#}", serde_json::Value::Object(entries));
        }
    }
}
