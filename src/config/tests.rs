use super::*;
use std::path::Path;
use toml::Value;

fn load(
    file: Option<&Path>,
    env: &[(&str, &str)],
    flags: Vec<(&'static str, Value)>,
) -> Result<Config, String> {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let lookup = |name: &str| env.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone());
    Config::load(&Sources {
        file,
        env: &lookup,
        flags,
    })
    .map_err(|e| stxworx_indexer::error_chain(&e).to_string())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn error(text: &str) -> String {
    let file = file(text);
    let error = load(Some(file.path()), &[], vec![]).err().unwrap();
    error.replace(&file.path().display().to_string(), "FILE")
}

#[test]
fn the_example_is_the_default() {
    let example = file(&example());
    let from_example = load(Some(example.path()), &[], vec![]).unwrap();
    let default = load(None, &[], vec![]).unwrap();
    let values = |c: &Config| {
        c.dump
            .iter()
            .map(|d| (d.0, d.1.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&from_example), values(&default));
}

#[test]
fn committed_files_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            load(Some(&path), &[], vec![]).unwrap();
            seen += 1;
        }
    }
    assert!(seen >= 4);
    let committed =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml"));
    assert_eq!(
        committed.unwrap(),
        example(),
        "run `stxworx config example > config/default.toml`"
    );
}

#[test]
fn later_sources_win() {
    let file = file("[api]\nlisten = \"127.0.0.1:1\"\n[metrics]\nlisten = \"127.0.0.1:1\"\n");
    let flags = vec![("metrics.listen", Value::String("127.0.0.1:3".into()))];
    let env = [
        ("STXWORX_METRICS_LISTEN", "127.0.0.1:2"),
        ("STXWORX_API_LISTEN", "127.0.0.1:2"),
    ];
    let config = load(Some(file.path()), &env, flags).unwrap();
    assert_eq!(config.api_listen.port(), 2);
    assert_eq!(config.metrics_listen.port(), 3);
}

#[test]
fn errors_name_key_value_and_form() {
    assert_eq!(
        error("[observer]\nlistn = \"x\""),
        "unknown setting \"observer.listn\" in FILE; `stxworx config example` lists all of them (did you mean \"observer.listen\"?)"
    );
    assert_eq!(
        error("[observer]\nlisten = \"3700\""),
        "observer.listen = \"3700\" (from FILE) must be IP:PORT, for instance 127.0.0.1:3700"
    );
    assert_eq!(
        error("[chain]\nfinality_burn_blocks = \"six\""),
        "chain.finality_burn_blocks = \"six\" (from FILE) must be a whole number"
    );
    assert_eq!(
        error("[chain]\nfinality_burn_blocks = 0"),
        "chain.finality_burn_blocks = 0 (from FILE) must be a whole number from 1 to 1000000"
    );
    let bad_principal = error("[follow]\nprincipals = [\"SPNOPE\"]");
    assert!(
        bad_principal
            .starts_with("follow.principals = \"SPNOPE\" (from FILE) must be a Stacks address"),
        "{bad_principal}"
    );
    assert!(
        error("[follow]\ncontracts = [\"SP000000000000000000002Q6VF78\"]")
            .contains("contract ids like")
    );
    assert!(error("a = [").contains("is not TOML"));
    let missing = load(Some(Path::new("/nonexistent/x.toml")), &[], vec![])
        .err()
        .unwrap();
    assert!(missing.starts_with("the configuration file /nonexistent/x.toml cannot be read"));
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "postgres://u:hunter2@h/d";
    let config = load(None, &[("DATABASE_URL", secret)], vec![]).unwrap();
    assert_eq!(config.database_url.as_deref(), Some(secret));
    assert!(!format!("{:?}", config.dump).contains("hunter2"));
    let error = load(None, &[("DATABASE_URL", "mysql://u:hunter2@h/d")], vec![])
        .err()
        .unwrap();
    assert!(
        error.contains("must be postgres://") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn every_setting_has_its_own_variable() {
    let names: BTreeSet<_> = SETTINGS.iter().map(Setting::env).collect();
    assert_eq!(names.len(), SETTINGS.len());
}

#[test]
fn the_api_is_open_unless_it_is_said_otherwise() {
    let default = load(None, &[], vec![]).unwrap().api;
    assert!(!default.rules.require_key && default.administrative);
    assert!(default.tokens.verifier().unwrap().is_none());
    let closed = load(None, &[("STXWORX_API_REQUIRE_KEY", "true")], vec![]).unwrap();
    assert!(closed.api.rules.require_key);
    let wrong = load(None, &[("STXWORX_API_REQUIRE_KEY", "yes")], vec![]).err();
    assert!(wrong.unwrap().contains("true or false"));
    assert!(error("[api]\nrequire_key = \"true\"\n").contains("true or false"));
    assert!(error("[api]\naddress_burst = 0\n").contains("from 1 to"));
    let secret = "a secret that is surely longer than 32 bytes";
    let env = [("STXWORX_API_JWT_SECRET", secret)];
    let config = load(None, &env, vec![]).unwrap();
    assert!(config.api.tokens.verifier().unwrap().is_some());
    assert!(
        config
            .dump
            .iter()
            .all(|(_, value, _)| !value.contains(secret))
    );
}

#[test]
fn the_secret_of_the_signer_is_long_enough_and_never_shown() {
    let secret = "a secret that is surely longer than 32 bytes";
    let env = [("STXWORX_MINT_SIGNER_SECRET", secret)];
    let config = load(None, &env, vec![]).unwrap();
    assert!(config.mint.access.signer_secret.is_some());
    assert!(!format!("{:?}", config.mint).contains(secret));
    let shown = |(_, value, _): &(&str, String, String)| value.contains(secret);
    assert!(!config.dump.iter().any(shown));
    let Err(error) = load(None, &[("STXWORX_MINT_SIGNER_SECRET", "hunter2")], vec![]) else {
        panic!("a short secret was taken");
    };
    assert!(
        error.contains("32 characters") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn secrets_come_from_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("database.url", "postgres://u:p@h/d\n");
    put("api.listen", "0.0.0.0:1");
    let path = folder.path().display().to_string();
    let of = |more: Option<&'static str>| {
        let env = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(path.clone()),
            "DATABASE_URL" => more.map(str::to_owned),
            _ => None,
        };
        let sources = Sources {
            file: None,
            env: &env,
            flags: Vec::new(),
        };
        Config::load(&sources).unwrap_or_else(|e| panic!("{e}"))
    };
    let config = of(None);
    assert_eq!(config.database_url.as_deref(), Some("postgres://u:p@h/d"));
    let origin = config.dump.iter().find(|(key, ..)| *key == "database.url");
    let (_, value, origin) = origin.unwrap();
    assert_eq!(
        (value.as_str(), origin.as_str()),
        ("\"<hidden>\"", "credential database.url")
    );
    // Only secrets are credentials, and a variable is nearer.
    assert_eq!(config.api_listen.to_string(), "127.0.0.1:3800");
    let nearer = of(Some("postgres://other@h/d"));
    assert_eq!(nearer.database_url.as_deref(), Some("postgres://other@h/d"));
    put("database.url", "mysql://x");
    let sources = Sources {
        file: None,
        env: &|name| (name == "CREDENTIALS_DIRECTORY").then(|| path.clone()),
        flags: Vec::new(),
    };
    let refused = Config::load(&sources).err().unwrap().to_string();
    assert!(
        refused.contains("<hidden>") && refused.contains("credential database.url"),
        "{refused}"
    );
}
