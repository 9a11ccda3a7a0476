//! What the DAO asks of its books, beside the model's figures.

use std::collections::BTreeMap;

use stxworx_clarity::codec::Principal;
use stxworx_indexer::books;
use stxworx_indexer::store::ledger::dao::Days;
use stxworx_indexer::store::ledger::seal;

use super::{FINALITY, booked};
use crate::devnet::history::History;
use crate::support::run;
use crate::tools::{output, stdout, stxworx};

fn name(asset: &Option<Principal>) -> String {
    asset.as_ref().map_or("STX".to_owned(), ToString::to_string)
}

fn units(text: &str) -> u128 {
    text.parse().unwrap()
}

#[test]
fn income_budgets_and_actions_are_the_models() {
    run(async {
        let mut history = History::new(76, 108);
        let (db, _) = booked(&mut history, 108, 22).await;
        let mut snapshot = seal::snapshot(&db.pool).await.unwrap();
        let view = books::view(&mut snapshot, Days::default()).await.unwrap();
        drop(snapshot);
        let model = history.model(&history.chain.tip().header.id);
        let treasury = model.contracts.security.to_string();

        // Payouts and fees by client: what the freelancers' side got of his projects.
        let mut gross: BTreeMap<(String, String), u128> = BTreeMap::new();
        for project in model.logic.projects.values().filter(|p| p.paid > 0) {
            let key = (name(&project.asset), project.client.to_string());
            *gross.entry(key).or_default() += project.paid;
        }
        let by_client = view.by_client.iter();
        let told: BTreeMap<_, _> = by_client
            .map(|r| ((r.asset.clone(), r.key.clone().unwrap()), units(&r.gross)))
            .collect();
        assert_eq!(told, gross);
        assert!(gross.len() > 4, "{gross:?}");

        for asset in model.logic.assets.keys() {
            let asset_name = name(asset);
            let of = view
                .treasuries
                .iter()
                .find(|t| t.treasury == treasury && t.asset == asset_name);
            let held = model.balance(asset, &model.contracts.security);
            let Some(of) = of else {
                assert_eq!(held, 0);
                continue;
            };
            let came = units(&of.fees) + units(&of.other_in);
            assert_eq!(
                came - units(&of.spent) - units(&of.other_out),
                held,
                "{of:?}"
            );
            for rows in [&view.by_day, &view.by_category, &view.by_client] {
                let rows = rows.iter().filter(|r| r.asset == asset_name);
                let sum: u128 = rows.clone().map(|r| units(&r.fees)).sum();
                let count: u64 = rows.map(|r| r.settlements).sum();
                let all = view.treasuries.iter().filter(|t| t.asset == asset_name);
                assert_eq!(sum, all.clone().map(|t| units(&t.fees)).sum::<u128>());
                assert_eq!(count, all.map(|t| t.settlements).sum::<u64>());
            }
            let rate = of.rate_ppm.unwrap();
            let exact = units(&of.fees) * 1_000_000 / units(&of.gross);
            assert_eq!(u128::from(rate), exact);
        }
        let categories: Vec<_> = view
            .by_category
            .iter()
            .filter_map(|r| r.key.clone())
            .collect();
        assert!(categories.contains(&"release".to_owned()), "{categories:?}");
        assert!(
            !categories.contains(&"unknown".to_owned()),
            "{categories:?}"
        );

        let budgets: BTreeMap<_, _> = view.budgets.iter().map(|b| (b.asset.clone(), b)).collect();
        assert_eq!(budgets.len(), model.security.budgets.len());
        for (asset, budget) in &model.security.budgets {
            let told = budgets[&name(asset)];
            let exact = [budget.amount, budget.period, budget.since, budget.spent];
            let told = [&told.amount, &told.period, &told.since, &told.spent];
            assert_eq!(told.map(|n| units(n)), exact, "{asset:?}");
        }
        assert!(!view.budgets.is_empty());

        let about = |kind: &str| books::ABOUT_MONEY.contains(&kind);
        let ours = model
            .security
            .actions
            .iter()
            .filter(|(_, a)| about(&a.kind));
        let ours: BTreeMap<u64, _> = ours
            .map(|(id, a)| (u64::try_from(*id).unwrap(), a))
            .collect();
        assert_eq!(view.actions.len(), ours.len().min(100));
        for action in &view.actions {
            let model = ours[&action.id];
            assert_eq!(action.kind, model.kind);
            let approvals = u128::try_from(action.approvals.len()).unwrap();
            assert_eq!(approvals, model.approvals, "{action:?}");
            let paid = action.kind == "spend" && action.status == "executed";
            assert_eq!(action.journals.len(), usize::from(paid), "{action:?}");
        }

        // A day alone is what that day has.
        let day = view.by_day[0].key.clone().unwrap();
        let mut snapshot = seal::snapshot(&db.pool).await.unwrap();
        let days = Days {
            from: Some(day.clone()),
            to: Some(day.clone()),
        };
        let one = books::view(&mut snapshot, days).await.unwrap();
        drop(snapshot);
        let of_day = |rows: &[books::income::IncomeRow]| {
            let rows = rows.iter().filter(|r| r.key.as_ref() == Some(&day));
            rows.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of_day(&one.by_day), of_day(&view.by_day));
        assert_eq!(one.by_day, of_day(&view.by_day));

        let ledger = |arguments: &[&str]| {
            let mut all = vec!["ledger", "dao"];
            all.extend(arguments);
            let mut command = stxworx(&all);
            command.env("DATABASE_URL", &db.url);
            command.env("STXWORX_CHAIN_FINALITY_BURN_BLOCKS", FINALITY.to_string());
            output(command)
        };
        let text = stdout(&ledger(&[]).await);
        for words in [
            "fees by category",
            "release, STX",
            "spent in burn heights",
            "approved by ST",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let json = stdout(&ledger(&["--output", "json"]).await);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::to_value(&view).unwrap());
        assert_eq!(ledger(&["--from", "soon"]).await.status.code(), Some(1));
        println!(
            "{} days, {} clients, {} actions",
            view.by_day.len(),
            gross.len(),
            view.actions.len()
        );
        db.drop().await;
    });
}
