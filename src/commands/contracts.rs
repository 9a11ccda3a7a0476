//! `stxworx contracts`: the contracts' sources, ready to be deployed.

use std::path::PathBuf;

use stxworx_clarity::codec::Principal;
use stxworx_clarity::contracts::{Network, SignersError, for_network};

use crate::cli::{CommandError, DeployTo, Outcome, RenderArgs, say};

/// Why there are no sources to deploy.
#[derive(Debug, thiserror::Error)]
enum RenderError {
    #[error("--signer {given:?} is no principal: an address, or ADDRESS.contract-name")]
    Principal {
        given: String,
        source: stxworx_clarity::codec::PrincipalError,
    },
    #[error("nobody should deploy with these signers")]
    Signers(#[from] SignersError),
    #[error("{} is there already, with other contents; remove it, or choose another --out", .0.display())]
    Different(PathBuf),
    #[error("{} cannot be written", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Writes the sources. What is there already with the same bytes stays; with others, nothing at all is written.
///
/// # Errors
/// When the signers are not fit to govern, or a file cannot be written.
pub fn render(args: &RenderArgs) -> Result<Outcome, CommandError> {
    write(args).map_err(CommandError::other)?;
    Ok(Outcome::Done)
}

fn write(args: &RenderArgs) -> Result<(), RenderError> {
    let network = match args.network {
        DeployTo::Testnet => Network::Testnet,
        DeployTo::Mainnet => Network::Mainnet,
    };
    let signers = args
        .signers
        .iter()
        .map(|given| {
            given.parse().map_err(|source| RenderError::Principal {
                given: given.clone(),
                source,
            })
        })
        .collect::<Result<Vec<Principal>, _>>()?;
    let files: Vec<_> = for_network(network, &signers)?
        .into_iter()
        .map(|(name, source)| (args.out.join(format!("{name}.clar")), source))
        .collect();
    let differs = |(path, source): &&(PathBuf, std::borrow::Cow<str>)| {
        std::fs::read(path).is_ok_and(|there| there != source.as_bytes())
    };
    if let Some((path, _)) = files.iter().find(differs) {
        return Err(RenderError::Different(path.clone()));
    }
    std::fs::create_dir_all(&args.out).map_err(|source| RenderError::Write {
        path: args.out.clone(),
        source,
    })?;
    for (path, source) in &files {
        std::fs::write(path, source.as_bytes()).map_err(|source| RenderError::Write {
            path: path.clone(),
            source,
        })?;
        say!("{}  {} bytes", path.display(), source.len());
    }
    Ok(())
}
