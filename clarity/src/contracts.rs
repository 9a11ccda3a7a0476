//! The contracts' sources, in the order in which they are deployed.

/// Name and source of every contract of a devnet. A network of value has no `test-token`.
pub const SOURCES: [(&str, &str); 6] = [
    (
        "freelance-traits",
        include_str!("../../contracts/freelance-traits.clar"),
    ),
    (
        "test-token",
        include_str!("../../contracts/test-token.clar"),
    ),
    (
        "freelance-data",
        include_str!("../../contracts/freelance-data.clar"),
    ),
    (
        "freelance-logic",
        include_str!("../../contracts/freelance-logic.clar"),
    ),
    (
        "freelance-badges",
        include_str!("../../contracts/freelance-badges.clar"),
    ),
    (
        "freelance-security",
        include_str!("../../contracts/freelance-security.clar"),
    ),
];
