;; freelance-logic: the escrow. A client locks the whole amount of a project, milestones release it.
;; Money goes to the project's freelancer, back to its client, or as fee to the treasury, and nowhere else.
;; States, rules and money flow: freelance-logic.md beside this file.

(use-trait ft .freelance-traits.ft-trait)

(define-constant SELF (as-contract tx-sender))
(define-constant GOVERNOR .freelance-security)
(define-constant VERSION "1.0.0")
(define-constant BPS u10000)
(define-constant MAX-FEE-BPS u1000)
(define-constant MIN-MILESTONE u1000)
(define-constant MAX-AMOUNT u1000000000000000000)
(define-constant MIN-WINDOW u6)
(define-constant MAX-WINDOW u4320)
(define-constant MAX-DUE u52560)
(define-constant MAX-PAUSE u1008)
(define-constant MAX-REVISIONS u2)

;; project status
(define-constant OPEN u0)
(define-constant ACTIVE u1)
(define-constant COMPLETED u2)
(define-constant REFUNDED u3)
(define-constant SETTLED u4)
(define-constant CANCELLED u5)
;; milestone status
(define-constant FUNDED u0)
(define-constant SUBMITTED u1)
(define-constant DISPUTED u2)
(define-constant M-RELEASED u3)
(define-constant M-REFUNDED u4)
(define-constant M-SPLIT u5)

(define-constant ERR-NOT-GOVERNOR (err u1200))
(define-constant ERR-NOT-CLIENT (err u1201))
(define-constant ERR-NOT-FREELANCER (err u1202))
(define-constant ERR-NOT-PARTY (err u1203))
(define-constant ERR-NOT-ARBITER (err u1204))
(define-constant ERR-NO-PROJECT (err u1210))
(define-constant ERR-NO-MILESTONE (err u1211))
(define-constant ERR-PROJECT-STATUS (err u1212))
(define-constant ERR-MILESTONE-STATUS (err u1213))
(define-constant ERR-PAUSED (err u1214))
(define-constant ERR-TOO-EARLY (err u1215))
(define-constant ERR-TOO-LATE (err u1216))
(define-constant ERR-MILESTONES (err u1220))
(define-constant ERR-AMOUNT (err u1221))
(define-constant ERR-DUE (err u1222))
(define-constant ERR-PARTIES (err u1223))
(define-constant ERR-ASSET (err u1224))
(define-constant ERR-BPS (err u1225))
(define-constant ERR-REVISIONS (err u1226))
(define-constant ERR-NO-OFFER (err u1227))
(define-constant ERR-OFFER (err u1228))
(define-constant ERR-PARAMS (err u1229))
(define-constant ERR-STX-TRANSFER (err u1290))
(define-constant ERR-FT-TRANSFER (err u1291))
(define-constant ERR-FT-BALANCE (err u1292))

(define-data-var seq uint u0)
(define-data-var head (buff 32) 0x0000000000000000000000000000000000000000000000000000000000000000)
(define-data-var last-project uint u0)
(define-data-var config
  {fee-bps: uint, treasury: principal, arbiter: principal, accept: uint, review: uint, resolve: uint, grace: uint, paused-until: uint}
  {fee-bps: u1000, treasury: GOVERNOR, arbiter: GOVERNOR, accept: u1008, review: u432, resolve: u1008, grace: u144, paused-until: u0})

(define-map projects uint {client: principal, freelancer: principal, arbiter: principal, asset: (optional principal),
  total: uint, paid: uint, refunded: uint, open: uint, fee-bps: uint, split-bps: uint, accept-until: uint,
  review: uint, resolve: uint, grace: uint, status: uint, meta: (buff 32)})
(define-map milestones {p: uint, m: uint} {amount: uint, due: uint, status: uint, rev: uint, review-until: uint, resolve-until: uint,
  payout: uint, fee: uint, refund: uint})
(define-map offers {p: uint, m: uint} {by: principal, bps: uint, until: uint})
(define-map assets (optional principal) {enabled: bool, max: uint, decimals: uint})
(define-map locked (optional principal) uint)

(define-private (hdr (topic (string-ascii 40)))
  (let ((s (+ u1 (var-get seq))))
    (var-set seq s)
    {topic: topic, v: u1, seq: s, prev: (var-get head), bh: burn-block-height, by: contract-caller}))

;; ---- opening

;; Locks the sum of the milestones. `token` is none for STX. Without an arbiter the platform's is taken.
(define-public (open-project (freelancer principal) (arbiter (optional principal)) (terms (list 10 {amount: uint, due: uint}))
    (split-bps uint) (meta (buff 32)) (token (optional <ft>)))
  (let ((id (+ u1 (var-get last-project)))
        (c (var-get config))
        (client contract-caller)
        (judge (default-to (get arbiter c) arbiter))
        (asset (asset-of token))
        (a (unwrap! (map-get? assets asset) ERR-ASSET))
        (sum (fold add-milestone terms {p: id, m: u0, total: u0, max: (get max a), amounts: true, dues: true}))
        (total (get total sum))
        (now-locked (+ total (get-locked asset)))
        (until (+ burn-block-height (get accept c))))
    (asserts! (> burn-block-height (get paused-until c)) ERR-PAUSED)
    (asserts! (get enabled a) ERR-ASSET)
    (asserts! (and (not (is-eq client freelancer)) (not (is-eq client SELF)) (not (is-eq freelancer SELF))
                   (not (is-eq judge client)) (not (is-eq judge freelancer)) (not (is-eq judge SELF))) ERR-PARTIES)
    (asserts! (> (get m sum) u0) ERR-MILESTONES)
    (asserts! (get amounts sum) ERR-AMOUNT)
    (asserts! (get dues sum) ERR-DUE)
    (asserts! (<= split-bps BPS) ERR-BPS)
    (var-set last-project id)
    (map-set locked asset now-locked)
    (map-set projects id {client: client, freelancer: freelancer, arbiter: judge, asset: asset, total: total, paid: u0, refunded: u0,
      open: (get m sum), fee-bps: (get fee-bps c), split-bps: split-bps, accept-until: until, review: (get review c),
      resolve: (get resolve c), grace: (get grace c), status: OPEN, meta: meta})
    (try! (pull token total client now-locked))
    (let ((ev (merge (hdr "project-opened") {data: {project: id, client: client, freelancer: freelancer, arbiter: judge, asset: asset,
            total: total, fee-bps: (get fee-bps c), split-bps: split-bps, accept-until: until, review: (get review c),
            resolve: (get resolve c), grace: (get grace c), milestones: terms, meta: meta, locked-after: now-locked}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok id)))

(define-private (add-milestone (t {amount: uint, due: uint}) (acc {p: uint, m: uint, total: uint, max: uint, amounts: bool, dues: bool}))
  (let ((m (+ u1 (get m acc))) (amount (get amount t)) (due (get due t))
        (fits (and (>= amount MIN-MILESTONE) (<= amount (get max acc)))))
    (map-set milestones {p: (get p acc), m: m}
      {amount: amount, due: due, status: FUNDED, rev: u0, review-until: u0, resolve-until: u0, payout: u0, fee: u0, refund: u0})
    (merge acc {m: m,
      total: (if fits (+ (get total acc) amount) (get total acc)),
      amounts: (and (get amounts acc) fits),
      dues: (and (get dues acc) (> due burn-block-height) (<= due (+ burn-block-height MAX-DUE)))})))

(define-public (accept-project (p uint))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT)))
    (asserts! (is-eq contract-caller (get freelancer pr)) ERR-NOT-FREELANCER)
    (asserts! (is-eq OPEN (get status pr)) ERR-PROJECT-STATUS)
    (asserts! (<= burn-block-height (get accept-until pr)) ERR-TOO-LATE)
    (map-set projects p (merge pr {status: ACTIVE}))
    (let ((ev (merge (hdr "project-accepted") {data: {project: p}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; Before acceptance either side can undo everything at any time.
(define-public (cancel-unaccepted (p uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT)))
    (asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)
    (cancel p "cancelled" token)))

(define-public (decline (p uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT)))
    (asserts! (is-eq contract-caller (get freelancer pr)) ERR-NOT-FREELANCER)
    (cancel p "declined" token)))

(define-private (cancel (p uint) (cause (string-ascii 12)) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (asset (get asset pr))
        (total (get total pr)))
    (asserts! (is-eq OPEN (get status pr)) ERR-PROJECT-STATUS)
    (asserts! (is-eq asset (asset-of token)) ERR-ASSET)
    (map-set projects p (merge pr {status: CANCELLED, refunded: total, open: u0}))
    (map-set locked asset (- (get-locked asset) total))
    (try! (pay token total (get client pr)))
    (let ((ev (merge (hdr "project-cancelled") {data: {project: p, asset: asset, cause: cause, refunded: total, locked-after: (get-locked asset)}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- work

(define-public (submit (p uint) (m uint) (evidence (buff 32)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (until (+ burn-block-height (get review pr))))
    (asserts! (is-eq contract-caller (get freelancer pr)) ERR-NOT-FREELANCER)
    (asserts! (is-eq ACTIVE (get status pr)) ERR-PROJECT-STATUS)
    (asserts! (is-eq FUNDED (get status ms)) ERR-MILESTONE-STATUS)
    (map-set milestones {p: p, m: m} (merge ms {status: SUBMITTED, review-until: until}))
    (let ((ev (merge (hdr "milestone-submitted") {data: {project: p, m: m, rev: (get rev ms), evidence: evidence, review-until: until}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; Within the review window, and twice at most; after that only release, settlement or a dispute are left.
(define-public (reject (p uint) (m uint) (reason (buff 32)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (rev (+ u1 (get rev ms)))
        (again (+ burn-block-height (get review pr)))
        (due (if (> (get due ms) again) (get due ms) again)))
    (asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)
    (asserts! (is-eq SUBMITTED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (<= burn-block-height (get review-until ms)) ERR-TOO-LATE)
    (asserts! (<= rev MAX-REVISIONS) ERR-REVISIONS)
    (map-set milestones {p: p, m: m} (merge ms {status: FUNDED, rev: rev, due: due}))
    (let ((ev (merge (hdr "milestone-rejected") {data: {project: p, m: m, rev: rev, reason: reason, due: due}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (extend-due (p uint) (m uint) (due uint))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (old (get due ms)))
    (asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)
    (asserts! (<= (get status pr) ACTIVE) ERR-PROJECT-STATUS)
    (asserts! (is-eq FUNDED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (and (> due old) (<= due (+ burn-block-height MAX-DUE))) ERR-DUE)
    (map-set milestones {p: p, m: m} (merge ms {due: due}))
    (let ((ev (merge (hdr "due-extended") {data: {project: p, m: m, old: old, new: due}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; The client only within the review window: afterwards the freelancer has a right to claim.
(define-public (open-dispute (p uint) (m uint) (reason (buff 32)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (client (is-eq contract-caller (get client pr)))
        (submitted (is-eq SUBMITTED (get status ms)))
        (until (+ burn-block-height (get resolve pr))))
    (asserts! (or client (is-eq contract-caller (get freelancer pr))) ERR-NOT-PARTY)
    (asserts! (or submitted (and (is-eq FUNDED (get status ms)) (> (get rev ms) u0))) ERR-MILESTONE-STATUS)
    (asserts! (or (not client) (not submitted) (<= burn-block-height (get review-until ms))) ERR-TOO-LATE)
    (map-set milestones {p: p, m: m} (merge ms {status: DISPUTED, resolve-until: until}))
    (let ((recorded (match (contract-call? .freelance-data record-dispute (get client pr) (get freelancer pr) p m) done done failed false))
          (ev (merge (hdr "dispute-opened") {data: {project: p, m: m, role: (if client "client" "freelancer"), reason: reason,
            resolve-until: until, recorded: recorded}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (offer-settlement (p uint) (m uint) (bps uint) (until uint))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (party? (get client pr) (get freelancer pr)) ERR-NOT-PARTY)
    (asserts! (is-eq ACTIVE (get status pr)) ERR-PROJECT-STATUS)
    (asserts! (<= (get status ms) DISPUTED) ERR-MILESTONE-STATUS)
    (asserts! (<= bps BPS) ERR-BPS)
    (asserts! (and (>= until burn-block-height) (<= until (+ burn-block-height MAX-WINDOW))) ERR-OFFER)
    ;; A live offer of the other side is answered, not overwritten.
    (asserts! (match (map-get? offers {p: p, m: m}) o (or (is-eq contract-caller (get by o)) (> burn-block-height (get until o))) true) ERR-OFFER)
    (map-set offers {p: p, m: m} {by: contract-caller, bps: bps, until: until})
    (let ((ev (merge (hdr "settlement-offered") {data: {project: p, m: m, bps: bps, until: until}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (withdraw-settlement (p uint) (m uint))
  (let ((o (unwrap! (map-get? offers {p: p, m: m}) ERR-NO-OFFER)))
    (asserts! (is-eq contract-caller (get by o)) ERR-NOT-PARTY)
    (map-delete offers {p: p, m: m})
    (let ((ev (merge (hdr "settlement-withdrawn") {data: {project: p, m: m}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- ways out; none of them can be paused but the arbiter's

(define-public (release (p uint) (m uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)
    (asserts! (<= (get status ms) SUBMITTED) ERR-MILESTONE-STATUS)
    (settle p m BPS "release" token)))

;; The client kept silent: anyone may push the money to the freelancer.
(define-public (claim-timeout (p uint) (m uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (is-eq SUBMITTED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (> burn-block-height (get review-until ms)) ERR-TOO-EARLY)
    (settle p m BPS "timeout" token)))

;; Nothing was handed in, or not again after it was sent back.
(define-public (reclaim-expired (p uint) (m uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)
    (asserts! (is-eq FUNDED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (> burn-block-height (+ (get due ms) (get grace pr))) ERR-TOO-EARLY)
    (settle p m u0 "expired" token)))

(define-public (resolve (p uint) (m uint) (bps uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (is-eq contract-caller (get arbiter pr)) ERR-NOT-ARBITER)
    (asserts! (> burn-block-height (get paused-until (var-get config))) ERR-PAUSED)
    (asserts! (is-eq DISPUTED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (<= burn-block-height (get resolve-until ms)) ERR-TOO-LATE)
    (asserts! (<= bps BPS) ERR-BPS)
    (settle p m bps "ruling" token)))

;; The arbiter kept silent: the split that both sides knew from the start.
(define-public (claim-stale-dispute (p uint) (m uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE)))
    (asserts! (party? (get client pr) (get freelancer pr)) ERR-NOT-PARTY)
    (asserts! (is-eq DISPUTED (get status ms)) ERR-MILESTONE-STATUS)
    (asserts! (> burn-block-height (get resolve-until ms)) ERR-TOO-EARLY)
    (settle p m (get split-bps pr) "stale" token)))

;; `bps` must be the offer's: an offer cannot be changed under the one who accepts it.
(define-public (accept-settlement (p uint) (m uint) (bps uint) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (o (unwrap! (map-get? offers {p: p, m: m}) ERR-NO-OFFER)))
    (asserts! (and (party? (get client pr) (get freelancer pr)) (not (is-eq contract-caller (get by o)))) ERR-NOT-PARTY)
    (asserts! (<= (get status ms) DISPUTED) ERR-MILESTONE-STATUS)
    (asserts! (<= burn-block-height (get until o)) ERR-TOO-LATE)
    (asserts! (is-eq bps (get bps o)) ERR-OFFER)
    (settle p m bps "settle" token)))

;; The one place where a milestone ends: `bps` of the amount to the freelancer's side, less the fee, the rest back.
;; Statistics must never hold money back, so a refusal of freelance-data is noted (`recorded`) and passed over; it
;; bounds what it adds up, because an overflow there would be no refusal but an abort.
(define-private (settle (p uint) (m uint) (bps uint) (cause (string-ascii 12)) (token (optional <ft>)))
  (let ((pr (unwrap! (map-get? projects p) ERR-NO-PROJECT))
        (ms (unwrap! (map-get? milestones {p: p, m: m}) ERR-NO-MILESTONE))
        (asset (get asset pr))
        (amount (get amount ms))
        (treasury (get treasury (var-get config)))
        (gross (/ (* amount bps) BPS))
        (fee (/ (* gross (get fee-bps pr)) BPS))
        (payout (- gross fee))
        (refund (- amount gross))
        (paid (+ gross (get paid pr)))
        (refunded (+ refund (get refunded pr)))
        (status (if (is-eq refund u0) M-RELEASED (if (is-eq gross u0) M-REFUNDED M-SPLIT)))
        (last (is-eq u1 (get open pr)))
        (end (if (not last) ACTIVE (if (is-eq refunded u0) COMPLETED (if (is-eq paid u0) REFUNDED SETTLED))))
        (lost (if (or (not (is-eq cause "ruling")) (is-eq bps u5000)) none (some (if (< bps u5000) (get freelancer pr) (get client pr))))))
    (asserts! (is-eq ACTIVE (get status pr)) ERR-PROJECT-STATUS)
    (asserts! (is-eq asset (asset-of token)) ERR-ASSET)
    ;; What is open and locked is taken down only here: of a project that is over, there is nothing left to subtract from.
    (map-set milestones {p: p, m: m} (merge ms {status: status, payout: payout, fee: fee, refund: refund}))
    (map-set projects p (merge pr {paid: paid, refunded: refunded, open: (- (get open pr) u1), status: end}))
    (map-set locked asset (- (get-locked asset) amount))
    (map-delete offers {p: p, m: m})
    (try! (pay token payout (get freelancer pr)))
    (try! (pay token fee treasury))
    (try! (pay token refund (get client pr)))
    (let ((recorded (match (contract-call? .freelance-data record-paid (get freelancer pr) (get client pr) asset gross p m cause
              (if last (some (is-eq end COMPLETED)) none) lost) done done failed false))
          (ev (merge (hdr "milestone-settled") {data: {project: p, m: m, asset: asset, cause: cause, bps: bps, amount: amount, payout: payout,
            fee: fee, refund: refund, treasury: treasury, status: status, project-status: end, locked-after: (get-locked asset), recorded: recorded}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- money

(define-private (asset-of (token (optional <ft>))) (match token t (some (contract-of t)) none))

;; A token that takes its own cut, or lies about transfers, is found out by the balance. `>=`: gifts must not block anyone.
(define-private (pull (token (optional <ft>)) (amount uint) (from principal) (now-locked uint))
  (match token
    t (begin
        (unwrap! (contract-call? t transfer amount from SELF none) ERR-FT-TRANSFER)
        (ok (asserts! (>= (unwrap! (contract-call? t get-balance SELF) ERR-FT-BALANCE) now-locked) ERR-FT-BALANCE)))
    (ok (unwrap! (stx-transfer? amount from SELF) ERR-STX-TRANSFER))))

;; A token is called as what this contract is, never `as-contract`: with that, its code could move all that is held here.
;; So a token must let a contract move its own; `try-token` finds out before anybody's money is in it.
(define-private (pay (token (optional <ft>)) (amount uint) (to principal))
  (if (is-eq amount u0)
    (ok true)
    (match token
      t (ok (unwrap! (contract-call? t transfer amount SELF to none) ERR-FT-TRANSFER))
      (ok (unwrap! (as-contract (stx-transfer? amount tx-sender to)) ERR-STX-TRANSFER)))))

;; One base unit of `who` comes in, and goes out again.
(define-private (try-token (who principal) (asset (optional principal)) (token (optional <ft>)))
  (begin
    (asserts! (is-eq asset (asset-of token)) ERR-ASSET)
    (match token
      t (begin
          (unwrap! (contract-call? t transfer u1 who SELF none) ERR-FT-TRANSFER)
          (ok (unwrap! (contract-call? t transfer u1 SELF who none) ERR-FT-TRANSFER)))
      (ok true))))

(define-private (party? (client principal) (freelancer principal))
  (or (is-eq contract-caller client) (is-eq contract-caller freelancer)))

;; ---- governor; projects that are open keep the terms they were opened with

(define-public (set-fee (bps uint))
  (let ((c (var-get config)))
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (<= bps MAX-FEE-BPS) ERR-PARAMS)
    (var-set config (merge c {fee-bps: bps}))
    (let ((ev (merge (hdr "fee-set") {data: {old: (get fee-bps c), new: bps}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (set-treasury (to principal))
  (let ((c (var-get config)))
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (is-eq to SELF)) ERR-PARAMS)
    (var-set config (merge c {treasury: to}))
    (let ((ev (merge (hdr "treasury-set") {data: {old: (get treasury c), new: to}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (set-arbiter (who principal))
  (let ((c (var-get config)))
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (is-eq who SELF)) ERR-PARAMS)
    (var-set config (merge c {arbiter: who}))
    (let ((ev (merge (hdr "arbiter-set") {data: {old: (get arbiter c), new: who}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; Switching an asset off stops new projects only. `max` is per milestone, in base units. A token that is switched on
;; is tried with one base unit of `who`, who signs.
(define-public (set-asset (asset (optional principal)) (enabled bool) (max uint) (decimals uint) (who principal) (token (optional <ft>)))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (and (>= max MIN-MILESTONE) (<= max MAX-AMOUNT) (<= decimals u18)) ERR-PARAMS)
    (if enabled (try! (try-token who asset token)) true)
    (put-asset asset {enabled: enabled, max: max, decimals: decimals})
    (ok true)))

(define-private (put-asset (asset (optional principal)) (a {enabled: bool, max: uint, decimals: uint}))
  (let ((ev (merge (hdr "asset-set") {data: (merge {asset: asset} a)})))
    (map-set assets asset a)
    (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
    (print ev)
    true))

(define-public (set-params (accept uint) (review uint) (resolve-within uint) (grace uint))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (and (window? accept) (window? review) (window? resolve-within) (window? grace)) ERR-PARAMS)
    (var-set config (merge (var-get config) {accept: accept, review: review, resolve: resolve-within, grace: grace}))
    (let ((ev (merge (hdr "params-set") {data: {accept: accept, review: review, resolve: resolve-within, grace: grace}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-private (window? (blocks uint)) (and (>= blocks MIN-WINDOW) (<= blocks MAX-WINDOW)))

;; Stops opening and rulings, never a way out, and lapses by itself. Unpausing gives `until` as u0.
(define-public (set-paused (paused bool) (until uint))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (if paused (and (>= until burn-block-height) (<= until (+ burn-block-height MAX-PAUSE))) (is-eq until u0)) ERR-PARAMS)
    (var-set config (merge (var-get config) {paused-until: until}))
    (let ((ev (merge (hdr "paused-set") {data: {paused: paused, until: until}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- reads

(define-read-only (get-cursor) {seq: (var-get seq), head: (var-get head)})
(define-read-only (get-config) (var-get config))
(define-read-only (get-project (p uint)) (map-get? projects p))
(define-read-only (get-last-project) (var-get last-project))
(define-read-only (get-milestone (p uint) (m uint)) (map-get? milestones {p: p, m: m}))
(define-read-only (get-milestones (p uint))
  (map get-keyed (list {p: p, m: u1} {p: p, m: u2} {p: p, m: u3} {p: p, m: u4} {p: p, m: u5}
    {p: p, m: u6} {p: p, m: u7} {p: p, m: u8} {p: p, m: u9} {p: p, m: u10})))
(define-private (get-keyed (k {p: uint, m: uint})) (map-get? milestones k))
(define-read-only (get-offer (p uint) (m uint)) (map-get? offers {p: p, m: m}))
(define-read-only (get-asset (asset (optional principal))) (map-get? assets asset))
(define-read-only (get-locked (asset (optional principal))) (default-to u0 (map-get? locked asset)))
;; What a settlement of `amount` at `bps` would pay under today's fee.
(define-read-only (quote (amount uint) (bps uint))
  (let ((gross (/ (* amount bps) BPS)) (fee (/ (* gross (get fee-bps (var-get config))) BPS)))
    {payout: (- gross fee), fee: fee, refund: (- amount gross)}))

(let ((c (var-get config))
      (ev (merge (hdr "genesis") {data: {ver: VERSION, governor: GOVERNOR, treasury: (get treasury c), arbiter: (get arbiter c),
        fee-bps: (get fee-bps c), max-fee-bps: MAX-FEE-BPS, accept: (get accept c), review: (get review c),
        resolve: (get resolve c), grace: (get grace c)}})))
  (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
  (print ev))
(put-asset none {enabled: true, max: u1000000000000, decimals: u6})
