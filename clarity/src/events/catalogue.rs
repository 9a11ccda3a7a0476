//! The one schema of everything the contracts print. The typed events, the decoder and the source
//! lint all come from this table; a field name is the contract's with `_` for `-`.

use super::schema::catalogue;

catalogue! {
    /// Profiles, statistics and attestations.
    data "freelance-data" {
        /// The contract was deployed.
        Genesis "genesis" 1 { ver: ascii, governor: principal, writer: principal }
        /// A contract may, or may no longer, record payments and disputes.
        WriterSet "writer-set" 1 { who: principal, on: bool }
        /// A principal may, or may no longer, attest identities and anchor leaderboards.
        AttestorSet "attestor-set" 1 { who: principal, on: bool }
        /// A category of work was named, switched on or off.
        CategorySet "category-set" 1 { id: uint, name: ascii, on: bool }
        /// A user chose a handle and the hash of his profile's metadata.
        ProfileSet "profile-set" 1 { user: principal, handle: ascii, meta: buff }
        /// An X account was attested to belong to a user until a burn height.
        XAttested "x-attested" 1 { user: principal, handle_hash: buff, expires: uint }
        /// An attestation was withdrawn.
        XRevoked "x-revoked" 1 { user: principal }
        /// A milestone was settled: what its freelancer earned and what became of the project.
        PaidRecorded "paid-recorded" 1 {
            writer: principal, user: principal, client: principal, asset: optional(principal), gross: uint,
            project: uint, m: uint, cause: ascii, completed: bool, closed: bool, lost: optional(principal)
        }
        /// A dispute was opened between two parties.
        DisputeRecorded "dispute-recorded" 1 {
            writer: principal, client: principal, freelancer: principal, project: uint, m: uint
        }
        /// A party of a closed project rated the other.
        Rated "rated" 1 { writer: principal, project: uint, from: principal, to: principal, stars: uint, comment: buff }
        /// The Merkle root of a leaderboard was anchored.
        LeaderboardAnchored "leaderboard-anchored" 1 {
            epoch: uint, board: ascii, root: buff, count: uint, algo: ascii, from_bh: uint, to_bh: uint
        }
    }
    /// Projects, milestones and the escrowed money.
    logic "freelance-logic" {
        /// The contract was deployed, with these parameters (windows in burn blocks, fees in basis points).
        Genesis "genesis" 1 {
            ver: ascii, governor: principal, treasury: principal, arbiter: principal, fee_bps: uint, max_fee_bps: uint,
            accept: uint, review: uint, resolve: uint, grace: uint
        }
        /// The fee for projects opened from now on, in basis points.
        FeeSet "fee-set" 1 { old: uint, new: uint }
        /// Who receives fees from now on.
        TreasurySet "treasury-set" 1 { old: principal, new: principal }
        /// Who arbitrates projects that name nobody.
        ArbiterSet "arbiter-set" 1 { old: principal, new: principal }
        /// An asset may, or may no longer, be escrowed. `none` is STX.
        AssetSet "asset-set" 1 { asset: optional(principal), enabled: bool, max: uint, decimals: uint }
        /// Windows of projects opened from now on, in burn blocks.
        ParamsSet "params-set" 1 { accept: uint, review: uint, resolve: uint, grace: uint }
        /// Opening and rulings are paused until a burn height.
        PausedSet "paused-set" 1 { paused: bool, until: uint }
        /// A project was opened and its whole amount locked.
        ProjectOpened "project-opened" 1 {
            project: uint, client: principal, freelancer: principal, arbiter: principal, asset: optional(principal),
            total: uint, fee_bps: uint, split_bps: uint, accept_until: uint, review: uint, resolve: uint, grace: uint,
            milestones: list(MilestoneTerms { amount: uint, due: uint }), meta: buff, locked_after: uint
        }
        /// The freelancer took the project on.
        ProjectAccepted "project-accepted" 1 { project: uint }
        /// A project ended before it was accepted; everything went back.
        ProjectCancelled "project-cancelled" 1 {
            project: uint, asset: optional(principal), cause: ascii, refunded: uint, locked_after: uint
        }
        /// Work was handed in.
        MilestoneSubmitted "milestone-submitted" 1 { project: uint, m: uint, rev: uint, evidence: buff, review_until: uint }
        /// Work was sent back.
        MilestoneRejected "milestone-rejected" 1 { project: uint, m: uint, rev: uint, reason: buff, due: uint }
        /// A milestone is due later.
        DueExtended "due-extended" 1 { project: uint, m: uint, old: uint, new: uint }
        /// A party called for the arbiter.
        DisputeOpened "dispute-opened" 1 { project: uint, m: uint, role: ascii, reason: buff, resolve_until: uint }
        /// A party offers to settle for a share of the freelancer's, in basis points.
        SettlementOffered "settlement-offered" 1 { project: uint, m: uint, bps: uint, until: uint }
        /// The offer was taken back.
        SettlementWithdrawn "settlement-withdrawn" 1 { project: uint, m: uint }
        /// Money left the escrow: the only event of its kind. `payout + fee + refund = amount`.
        MilestoneSettled "milestone-settled" 1 {
            project: uint, m: uint, asset: optional(principal), cause: ascii, bps: uint, amount: uint, payout: uint,
            fee: uint, refund: uint, treasury: principal, status: uint, project_status: uint, locked_after: uint, recorded: bool
        }
    }
    /// Soul-bound badges.
    badges "freelance-badges" {
        /// The contract was deployed.
        Genesis "genesis" 1 { ver: ascii, governor: principal, uri: ascii }
        /// A principal may, or may no longer, mint what was earned.
        MinterSet "minter-set" 1 { who: principal, on: bool }
        /// What a kind of badge asks for; the rating is the average times 100.
        KindSet "kind-set" 1 { kind: uint, name: ascii, projects: uint, rating: uint, needs_x: bool }
        /// A badge was minted; `via` is `mint` or `claim`.
        BadgeMinted "badge-minted" 1 { id: uint, owner: principal, kind: uint, via: ascii }
        /// A badge was burnt by the governor.
        BadgeRevoked "badge-revoked" 1 { id: uint, owner: principal, kind: uint, reason: buff }
        /// A badge follows its owner to a new address.
        BadgeMigrated "badge-migrated" 1 { id: uint, from: principal, to: principal, kind: uint }
        /// Where metadata lives.
        UriSet "uri-set" 1 { uri: ascii }
    }
    /// The multisig and the treasury.
    security "freelance-security" {
        /// The contract was deployed with its signers.
        Genesis "genesis" 1 { ver: ascii, signers: list(principal), critical: uint, routine: uint, emergency: uint }
        /// A signer proposes an action, which counts as his approval.
        ActionProposed "action-proposed" 1 {
            id: uint, class: uint, kind: ascii,
            args: tuple(ActionArgs { p1: optional(principal), p2: optional(principal), n1: uint, n2: uint, n3: uint, n4: uint, b: bool, h: buff, s: ascii }),
            eta: uint, expires: uint, epoch: uint
        }
        /// A signer approves; `n` approvals now.
        ActionApproved "action-approved" 1 { id: uint, n: uint }
        /// A signer takes his approval back.
        ApprovalRevoked "approval-revoked" 1 { id: uint, n: uint }
        /// A signer is against it; `n` rejections now, and the third ends it.
        ActionRejected "action-rejected" 1 { id: uint, n: uint, cancelled: bool }
        /// Its proposer took it back.
        ActionCancelled "action-cancelled" 1 { id: uint }
        /// It was carried out.
        ActionExecuted "action-executed" 1 { id: uint, kind: ascii }
        /// One signer took another's place; every pending action lapsed.
        SignersChanged "signers-changed" 1 { epoch: uint, added: principal, removed: principal, count: uint }
        /// The treasury paid.
        Spent "spent" 1 { asset: optional(principal), amount: uint, to: principal, reference: buff, action: uint }
        /// What the treasury may pay in one asset per period (burn blocks).
        BudgetSet "budget-set" 1 { asset: optional(principal), amount: uint, period: uint }
    }
}
