//! The one schema of everything the contracts print. The typed events, the decoder and the source
//! lint all come from this table; a field name is the contract's with `_` for `-`.

use super::field::{Ascii, Hash, Uint};
use super::schema::{catalogue, parts};
use crate::codec::Principal;

parts! {
    /// What a milestone is worth and until when it is to be handed in.
    MilestoneTerms { amount: Uint, due: Uint }
    /// The arguments of a governed action; each kind uses some of them.
    ActionArgs {
        p1: Option<Principal>, p2: Option<Principal>, n1: Uint, n2: Uint, n3: Uint, n4: Uint, b: bool, h: Hash, s: Ascii
    }
}

catalogue! {
    /// Profiles, statistics and attestations.
    data DataEvent "freelance-data" {
        /// The contract was deployed.
        Genesis "genesis" 1 { ver: Ascii, governor: Principal, writer: Principal }
        /// A contract may, or may no longer, record payments and disputes.
        WriterSet "writer-set" 1 { who: Principal, on: bool }
        /// A principal may, or may no longer, attest identities and anchor leaderboards.
        AttestorSet "attestor-set" 1 { who: Principal, on: bool }
        /// A category of work was named, switched on or off.
        CategorySet "category-set" 1 { id: Uint, name: Ascii, on: bool }
        /// A user chose a handle and the hash of his profile's metadata.
        ProfileSet "profile-set" 1 { user: Principal, handle: Ascii, meta: Hash }
        /// An X account was attested to belong to a user until a burn height.
        XAttested "x-attested" 1 { user: Principal, handle_hash: Hash, expires: Uint }
        /// An attestation was withdrawn.
        XRevoked "x-revoked" 1 { user: Principal }
        /// A milestone was settled: what its freelancer earned and what became of the project.
        PaidRecorded "paid-recorded" 1 {
            writer: Principal, user: Principal, client: Principal, asset: Option<Principal>, gross: Uint,
            project: Uint, m: Uint, cause: Ascii, completed: bool, closed: bool, lost: Option<Principal>
        }
        /// A dispute was opened between two parties.
        DisputeRecorded "dispute-recorded" 1 {
            writer: Principal, client: Principal, freelancer: Principal, project: Uint, m: Uint
        }
        /// A party of a closed project rated the other.
        Rated "rated" 1 { writer: Principal, project: Uint, from: Principal, to: Principal, stars: Uint, comment: Hash }
        /// The Merkle root of a leaderboard was anchored.
        LeaderboardAnchored "leaderboard-anchored" 1 {
            epoch: Uint, board: Ascii, root: Hash, count: Uint, algo: Ascii, from_bh: Uint, to_bh: Uint
        }
    }
    /// Projects, milestones and the escrowed money.
    logic LogicEvent "freelance-logic" {
        /// The contract was deployed, with these parameters (windows in burn blocks, fees in basis points).
        Genesis "genesis" 1 {
            ver: Ascii, governor: Principal, treasury: Principal, arbiter: Principal, fee_bps: Uint, max_fee_bps: Uint,
            accept: Uint, review: Uint, resolve: Uint, grace: Uint
        }
        /// The fee for projects opened from now on, in basis points.
        FeeSet "fee-set" 1 { old: Uint, new: Uint }
        /// Who receives fees from now on.
        TreasurySet "treasury-set" 1 { old: Principal, new: Principal }
        /// Who arbitrates projects that name nobody.
        ArbiterSet "arbiter-set" 1 { old: Principal, new: Principal }
        /// An asset may, or may no longer, be escrowed. `none` is STX.
        AssetSet "asset-set" 1 { asset: Option<Principal>, enabled: bool, max: Uint, decimals: Uint }
        /// Windows of projects opened from now on, in burn blocks.
        ParamsSet "params-set" 1 { accept: Uint, review: Uint, resolve: Uint, grace: Uint }
        /// Opening and rulings are paused until a burn height.
        PausedSet "paused-set" 1 { paused: bool, until: Uint }
        /// A project was opened and its whole amount locked.
        ProjectOpened "project-opened" 1 {
            project: Uint, client: Principal, freelancer: Principal, arbiter: Principal, asset: Option<Principal>,
            total: Uint, fee_bps: Uint, split_bps: Uint, accept_until: Uint, review: Uint, resolve: Uint, grace: Uint,
            milestones: Vec<MilestoneTerms>, meta: Hash, locked_after: Uint
        }
        /// The freelancer took the project on.
        ProjectAccepted "project-accepted" 1 { project: Uint }
        /// A project ended before it was accepted; everything went back.
        ProjectCancelled "project-cancelled" 1 {
            project: Uint, asset: Option<Principal>, cause: Ascii, refunded: Uint, locked_after: Uint
        }
        /// Work was handed in.
        MilestoneSubmitted "milestone-submitted" 1 { project: Uint, m: Uint, rev: Uint, evidence: Hash, review_until: Uint }
        /// Work was sent back.
        MilestoneRejected "milestone-rejected" 1 { project: Uint, m: Uint, rev: Uint, reason: Hash, due: Uint }
        /// A milestone is due later.
        DueExtended "due-extended" 1 { project: Uint, m: Uint, old: Uint, new: Uint }
        /// A party called for the arbiter.
        DisputeOpened "dispute-opened" 1 {
            project: Uint, m: Uint, role: Ascii, reason: Hash, resolve_until: Uint, recorded: bool
        }
        /// A party offers to settle for a share of the freelancer's, in basis points.
        SettlementOffered "settlement-offered" 1 { project: Uint, m: Uint, bps: Uint, until: Uint }
        /// The offer was taken back.
        SettlementWithdrawn "settlement-withdrawn" 1 { project: Uint, m: Uint }
        /// Money left the escrow: the only event of its kind. `payout + fee + refund = amount`.
        MilestoneSettled "milestone-settled" 1 {
            project: Uint, m: Uint, asset: Option<Principal>, cause: Ascii, bps: Uint, amount: Uint, payout: Uint,
            fee: Uint, refund: Uint, treasury: Principal, status: Uint, project_status: Uint, locked_after: Uint, recorded: bool
        }
    }
    /// Soul-bound badges.
    badges BadgesEvent "freelance-badges" {
        /// The contract was deployed.
        Genesis "genesis" 1 { ver: Ascii, governor: Principal, uri: Ascii }
        /// A principal may, or may no longer, mint what was earned.
        MinterSet "minter-set" 1 { who: Principal, on: bool }
        /// What a kind of badge asks for; the rating is the average times 100.
        KindSet "kind-set" 1 { kind: Uint, name: Ascii, projects: Uint, rating: Uint, needs_x: bool }
        /// A badge was minted; `via` is `mint` or `claim`.
        BadgeMinted "badge-minted" 1 { id: Uint, owner: Principal, kind: Uint, via: Ascii }
        /// A badge was burnt by the governor.
        BadgeRevoked "badge-revoked" 1 { id: Uint, owner: Principal, kind: Uint, reason: Hash }
        /// A badge follows its owner to a new address.
        BadgeMigrated "badge-migrated" 1 { id: Uint, from: Principal, to: Principal, kind: Uint }
        /// Where metadata lives.
        UriSet "uri-set" 1 { uri: Ascii }
    }
    /// The multisig and the treasury.
    security SecurityEvent "freelance-security" {
        /// The contract was deployed with its signers.
        Genesis "genesis" 1 { ver: Ascii, signers: Vec<Principal>, critical: Uint, routine: Uint, emergency: Uint }
        /// A signer proposes an action, which counts as his approval.
        ActionProposed "action-proposed" 1 {
            id: Uint, class: Uint, kind: Ascii,
            args: ActionArgs,
            eta: Uint, expires: Uint, epoch: Uint
        }
        /// A signer approves; `n` approvals now.
        ActionApproved "action-approved" 1 { id: Uint, n: Uint }
        /// A signer takes his approval back.
        ApprovalRevoked "approval-revoked" 1 { id: Uint, n: Uint }
        /// A signer is against it; `n` rejections now, and the third ends it.
        ActionRejected "action-rejected" 1 { id: Uint, n: Uint, cancelled: bool }
        /// Its proposer took it back.
        ActionCancelled "action-cancelled" 1 { id: Uint }
        /// It was carried out.
        ActionExecuted "action-executed" 1 { id: Uint, kind: Ascii }
        /// One signer took another's place; every pending action lapsed.
        SignersChanged "signers-changed" 1 { epoch: Uint, added: Principal, removed: Principal, count: Uint }
        /// The treasury paid.
        Spent "spent" 1 { asset: Option<Principal>, amount: Uint, to: Principal, reference: Hash, action: Uint }
        /// What the treasury may pay in one asset per period (burn blocks).
        BudgetSet "budget-set" 1 { asset: Option<Principal>, amount: Uint, period: Uint }
    }
}
