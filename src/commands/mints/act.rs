//! `stxworx mints pause`, `resume`, `approve`, `retry` and `cancel`.

use serde_json::json;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::act::{self, Acted, Wish};
use stxworx_indexer::store::mint::look;
use stxworx_indexer::store::mint::pause as pauses;

use super::{AcceptArgs, ActArgs, PauseArgs, ResumeArgs};
use crate::cli::{CommandError, Outcome};
use crate::post::OutputFormat;

fn named(by: &str) -> Result<(), CommandError> {
    if by.trim().is_empty() {
        let text = "--by is empty: say who does it".to_owned();
        return Err(CommandError::Usage(text));
    }
    Ok(())
}

fn of((scope, subject): (&str, &str)) -> String {
    match scope {
        "global" => "all mints".to_owned(),
        "contract" => format!("the mints at {subject}"),
        _ => format!("the mints of {subject}"),
    }
}

/// Did a key ever mint there? A pause of what nobody does is no mistake, but may be one of its author's.
async fn is_known(pool: &Pool, (scope, subject): (&str, &str)) -> Result<bool, CommandError> {
    let overview = look::overview(pool).await.map_err(CommandError::other)?;
    Ok(match scope {
        "global" => true,
        "contract" => overview.lanes.iter().any(|lane| lane.contract == subject),
        _ => overview.lanes.iter().any(|lane| lane.sender == subject),
    })
}

pub(super) async fn pause(
    pool: &Pool,
    args: &PauseArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    named(&args.by)?;
    let scope = args.scope.pair();
    let new = pauses::pause(pool, scope, "manual", &args.note, &args.by)
        .await
        .map_err(CommandError::other)?;
    let known = is_known(pool, scope).await?;
    match output {
        OutputFormat::Json => crate::cli::say!(
            "{:#}",
            json!({ "scope": scope.0, "subject": scope.1, "paused": true, "was_paused": !new, "known": known })
        ),
        OutputFormat::Text => {
            let already = if new { "" } else { " already" };
            let nobody = if known {
                ""
            } else {
                "; nothing was minted there until now: see `mints doctor` for what is"
            };
            crate::cli::say!("{} are paused{already}{nobody}", of(scope));
        }
    }
    Ok(Outcome::Done)
}

pub(super) async fn resume(
    pool: &Pool,
    args: &ResumeArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    named(&args.by)?;
    let (scope, subject) = args.scope.pair();
    let paused = pauses::in_force(pool)
        .await
        .map_err(CommandError::other)?
        .into_iter()
        .any(|p| {
            (p.scope.as_str(), p.subject.as_str(), p.reason.as_str())
                == (scope, subject, &args.reason)
        });
    if !paused {
        return Err(CommandError::Usage(format!(
            "{} are not paused for the reason {}; see `mints doctor`",
            of((scope, subject)),
            args.reason
        )));
    }
    if args.yes {
        pauses::lift(pool, (scope, subject), &args.reason, &args.by)
            .await
            .map_err(CommandError::other)?;
    }
    match output {
        OutputFormat::Json => crate::cli::say!(
            "{:#}",
            json!({ "scope": scope, "subject": subject, "reason": args.reason, "lifted": args.yes })
        ),
        OutputFormat::Text if args.yes => {
            crate::cli::say!("the pause of {} is lifted", of((scope, subject)));
        }
        OutputFormat::Text => crate::cli::say!(
            "would lift the pause of {} ({}); say --yes to do it",
            of((scope, subject)),
            args.reason
        ),
    }
    Ok(Outcome::Done)
}

pub(super) async fn act(
    pool: &Pool,
    args: &ActArgs,
    wish: Wish,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    named(&args.by)?;
    let acted = act::act(pool, args.id, wish, &args.by, &args.note, args.yes)
        .await
        .map_err(CommandError::other)?;
    let after = match acted {
        Acted::Done(after) => after,
        Acted::Missing => {
            let text = format!("there is no mint {}; see `mints list`", args.id);
            return Err(CommandError::Usage(text));
        }
        Acted::Refused(state) => {
            let states = wish.from_states().join(", ");
            let verb = wish.as_str();
            return Err(CommandError::Usage(format!(
                "mint {} is {state}: {verb} is for what is {states}",
                args.id
            )));
        }
    };
    match output {
        OutputFormat::Json => crate::cli::say!(
            "{:#}",
            json!({ "id": args.id, "action": wish.as_str(), "state": after, "done": args.yes })
        ),
        OutputFormat::Text => {
            let asked = wish == Wish::Cancel && after != "cancelled";
            let what = if asked {
                format!("{after}, and given up unless its mint wins")
            } else {
                after
            };
            if args.yes {
                crate::cli::say!("mint {} is {what}", args.id);
            } else {
                crate::cli::say!("mint {} would be {what}; say --yes to do it", args.id);
            }
        }
    }
    Ok(Outcome::Done)
}

pub(super) async fn accept(
    pool: &Pool,
    args: &AcceptArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    named(&args.by)?;
    let acted = act::accept(pool, &args.lane, args.nonce, &args.by, args.yes)
        .await
        .map_err(CommandError::other)?;
    let (lane, nonce) = (&args.lane, args.nonce);
    match acted {
        Acted::Done(_) => {}
        Acted::Missing => {
            return Err(CommandError::Usage(format!(
                "{nonce} is neither the next nonce of {lane} nor one in flight; see `mints doctor`"
            )));
        }
        Acted::Refused(state) => {
            return Err(CommandError::Usage(format!(
                "nonce {nonce} of {lane} is {state}: there is nothing to accept"
            )));
        }
    }
    match output {
        OutputFormat::Json => crate::cli::say!(
            "{:#}",
            json!({ "lane": lane, "nonce": nonce, "done": args.yes })
        ),
        OutputFormat::Text if args.yes => {
            crate::cli::say!("nonce {nonce} of {lane} counts as used by somebody else");
        }
        OutputFormat::Text => crate::cli::say!(
            "nonce {nonce} of {lane} would count as used by somebody else; say --yes to do it"
        ),
    }
    Ok(Outcome::Done)
}
