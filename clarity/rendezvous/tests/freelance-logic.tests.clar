;; Properties and invariants of the escrow, for `rv`, which puts this text behind the source of freelance-logic: all of
;; it is in reach. run.mjs makes the deployer the governor, and the contract's own functions private: called with
;; arguments by pure chance they would hardly ever succeed. The drive- functions call them with what has a chance.

(define-constant ERR-FULL (err u9001))
(define-constant ERR-WRONG (err u9002))
;; Few enough projects that an invariant can look at all of them.
(define-constant MOST u60)
(define-constant NUMBERS (list
  u1 u2 u3 u4 u5 u6 u7 u8 u9 u10 u11 u12 u13 u14 u15 u16 u17 u18 u19 u20 u21 u22 u23 u24 u25 u26 u27 u28 u29 u30
  u31 u32 u33 u34 u35 u36 u37 u38 u39 u40 u41 u42 u43 u44 u45 u46 u47 u48 u49 u50 u51 u52 u53 u54 u55 u56 u57
  u58 u59 u60))

(put-asset (some .test-token) {enabled: true, max: u1000000000000, decimals: u8})

;; ---- calls

;; A project that the caller is the client, the freelancer or the arbiter of, in this status, among the newest ten; else
;; the newest, so that calls by the wrong one are tried too.
(define-private (mine (n uint) (role uint) (status uint))
  (get found (fold look (list u0 u1 u2 u3 u4 u5 u6 u7 u8 u9) {found: (var-get last-project), n: n, role: role, status: status})))
(define-private (look (at uint) (acc {found: uint, n: uint, role: uint, status: uint}))
  (let ((last (var-get last-project)) (back (mod (+ at (get n acc)) u10)) (p (if (> last back) (- last back) u1)))
    (match (map-get? projects p)
      pr (if (and (is-eq (get status acc) (get status pr))
                  (is-eq contract-caller (if (is-eq u0 (get role acc)) (get client pr)
                    (if (is-eq u1 (get role acc)) (get freelancer pr) (get arbiter pr)))))
           (merge acc {found: p}) acc)
      acc)))
(define-private (client-of (n uint)) (mine n u0 ACTIVE))
(define-private (freelancer-of (n uint)) (mine n u1 ACTIVE))
(define-private (party-of (n uint)) (mine n (mod n u2) ACTIVE))
(define-private (one-or-two (m uint)) (+ u1 (mod m u2)))
(define-private (pick (n uint)) (+ u1 (mod n (+ u1 (var-get last-project)))))
;; A milestone in this status, if there is one.
(define-private (side (p uint) (m uint) (status uint))
  (let ((first (+ u1 (mod m u2))))
    (match (map-get? milestones {p: p, m: first}) ms (if (is-eq status (get status ms)) first (- u3 first)) first)))
;; The asset of a project, as the argument that calls want.
(define-private (in-stx? (p uint)) (match (map-get? projects p) pr (is-none (get asset pr)) true))
(define-private (terms-of (a uint) (b uint) (due uint))
  (list {amount: (+ u1000 (mod a u1000000)), due: (+ burn-block-height u1 (mod due u60))}
        {amount: (+ u1000 (mod b u1000000)), due: (+ burn-block-height u1 (mod due u90))}))

(define-public (drive-open (who principal) (a uint) (b uint) (due uint) (split uint))
  (begin
    (asserts! (< (var-get last-project) MOST) ERR-FULL)
    (open-project who none (terms-of a b due) (mod split u10001) 0x00 none)))
(define-public (drive-open-tokens (who principal) (a uint) (b uint) (due uint) (token <ft>))
  (begin
    (asserts! (< (var-get last-project) MOST) ERR-FULL)
    (unwrap-panic (contract-call? .test-token mint u3000000 tx-sender))
    (open-project who none (terms-of a b due) u5000 0x00 (some token))))
;; As if the freelancer had accepted: only one of the two can be the caller.
(define-public (drive-start (who principal) (a uint) (b uint) (due uint) (split uint))
  (let ((id (try! (drive-open who a b due split))))
    (map-set projects id (merge (unwrap-panic (map-get? projects id)) {status: ACTIVE}))
    (ok id)))
(define-public (drive-start-tokens (who principal) (a uint) (b uint) (due uint) (token <ft>))
  (let ((id (try! (drive-open-tokens who a b due token))))
    (map-set projects id (merge (unwrap-panic (map-get? projects id)) {status: ACTIVE}))
    (ok id)))
(define-public (drive-accept (n uint)) (accept-project (mine n u1 OPEN)))
(define-public (drive-cancel (n uint) (token <ft>))
  (let ((p (mine n u0 OPEN))) (cancel-unaccepted p (if (in-stx? p) none (some token)))))
(define-public (drive-decline (n uint) (token <ft>))
  (let ((p (mine n u1 OPEN))) (decline p (if (in-stx? p) none (some token)))))
(define-public (drive-submit (n uint) (m uint)) (let ((p (freelancer-of n))) (submit p (side p m FUNDED) 0x01)))
(define-public (drive-reject (n uint) (m uint)) (let ((p (client-of n))) (reject p (side p m SUBMITTED) 0x02)))
(define-public (drive-extend (n uint) (m uint) (due uint))
  (let ((p (client-of n))) (extend-due p (side p m FUNDED) (+ burn-block-height (mod due u200)))))
(define-public (drive-dispute (n uint) (m uint)) (let ((p (party-of n))) (open-dispute p (side p m SUBMITTED) 0x03)))
(define-public (drive-offer (n uint) (m uint) (bps uint) (until uint))
  (let ((p (party-of n))) (offer-settlement p (side p m FUNDED) (mod bps u10001) (+ burn-block-height (mod until u300)))))
(define-public (drive-withdraw (n uint) (m uint)) (let ((p (party-of n))) (withdraw-settlement p (side p m FUNDED))))
(define-public (drive-agree (n uint) (m uint) (token <ft>))
  (let ((p (party-of n)) (at (side p m FUNDED)))
    (accept-settlement p at (match (map-get? offers {p: p, m: at}) o (get bps o) u0) (if (in-stx? p) none (some token)))))
(define-public (drive-release (n uint) (m uint) (token <ft>))
  (let ((p (client-of n))) (release p (side p m SUBMITTED) (if (in-stx? p) none (some token)))))
(define-public (drive-timeout (n uint) (m uint) (token <ft>))
  (let ((p (party-of n))) (claim-timeout p (side p m SUBMITTED) (if (in-stx? p) none (some token)))))
(define-public (drive-expired (n uint) (m uint) (token <ft>))
  (let ((p (client-of n))) (reclaim-expired p (side p m FUNDED) (if (in-stx? p) none (some token)))))
(define-public (drive-resolve (n uint) (m uint) (bps uint) (token <ft>))
  (let ((p (mine n u2 ACTIVE))) (resolve p (side p m DISPUTED) (mod bps u10001) (if (in-stx? p) none (some token)))))
(define-public (drive-stale (n uint) (m uint) (token <ft>))
  (let ((p (party-of n))) (claim-stale-dispute p (side p m DISPUTED) (if (in-stx? p) none (some token)))))
;; Beyond the limits now and then.
(define-public (drive-govern (kind uint) (who principal) (on bool) (a uint) (b uint) (c uint) (d uint) (token <ft>))
  (let ((k (mod kind u7)))
    (if (is-eq k u0) (set-fee (mod a u1500))
    (if (is-eq k u1) (set-params (+ u4 (mod a u300)) (+ u4 (mod b u300)) (+ u4 (mod c u300)) (+ u4 (mod d u300)))
    (if (is-eq k u2) (set-paused true (+ burn-block-height (mod a u1200)))
    (if (is-eq k u3) (set-treasury who)
    (if (is-eq k u4) (set-arbiter who)
    (if (is-eq k u5) (begin
      (unwrap-panic (contract-call? .test-token mint u1 tx-sender))
      (set-asset (some .test-token) (or on (is-eq u0 (mod b u2))) (+ u900 (mod a u3000000)) (mod b u20) tx-sender (some token)))
    (set-paused false u0)))))))))

;; ---- invariants

;; What is counted as locked is there, to the unit: nobody sends gifts here.
(define-read-only (invariant-stx-covered) (is-eq (stx-get-balance SELF) (get-locked none)))
(define-read-only (invariant-tokens-covered)
  (is-eq (unwrap-panic (contract-call? .test-token get-balance SELF)) (get-locked (some .test-token))))

;; And it is what the milestones say that is open.
(define-read-only (invariant-locked-is-the-sum-of-what-is-open)
  (let ((sums (fold add-open NUMBERS {stx: u0, tokens: u0})))
    (and (<= (var-get last-project) MOST)
         (is-eq (get stx sums) (get-locked none))
         (is-eq (get tokens sums) (get-locked (some .test-token))))))
(define-private (add-open (p uint) (sums {stx: uint, tokens: uint}))
  (let ((sum (+ (open-amount p u1) (open-amount p u2))))
    (if (in-stx? p) (merge sums {stx: (+ sum (get stx sums))}) (merge sums {tokens: (+ sum (get tokens sums))}))))
(define-private (open-amount (p uint) (m uint))
  (match (map-get? projects p)
    pr (match (map-get? milestones {p: p, m: m})
      ms (if (and (<= (get status pr) ACTIVE) (<= (get status ms) DISPUTED)) (get amount ms) u0)
      u0)
    u0))

(define-read-only (invariant-a-project-adds-up (n uint))
  (match (map-get? projects (pick n))
    pr (let ((p (pick n)) (sum (+ (open-amount p u1) (open-amount p u2))))
      (and (is-eq (get total pr) (+ (get paid pr) (get refunded pr) sum))
           (is-eq (get open pr) (+ (if (> (open-amount p u1) u0) u1 u0) (if (> (open-amount p u2) u0) u1 u0)))
           (is-eq (is-eq u0 (get open pr)) (> (get status pr) ACTIVE))
           (<= (get fee-bps pr) MAX-FEE-BPS)))
    true))

(define-read-only (invariant-a-milestone-adds-up (n uint) (m uint))
  (match (map-get? milestones {p: (pick n), m: (one-or-two m)})
    ms (and (<= (get rev ms) MAX-REVISIONS)
            (if (<= (get status ms) DISPUTED)
              (is-eq u0 (+ (get payout ms) (get fee ms) (get refund ms)))
              (is-eq (get amount ms) (+ (get payout ms) (get fee ms) (get refund ms)))))
    true))

(define-read-only (invariant-offers-are-for-what-is-open (n uint) (m uint))
  (match (map-get? offers {p: (pick n), m: (one-or-two m)}) o (> (open-amount (pick n) (one-or-two m)) u0) true))

(define-read-only (invariant-config-within-limits)
  (let ((c (var-get config)))
    (and (<= (get fee-bps c) MAX-FEE-BPS)
         (window? (get accept c)) (window? (get review c)) (window? (get resolve c)) (window? (get grace c))
         (not (is-eq SELF (get treasury c))) (not (is-eq SELF (get arbiter c))))))

(define-read-only (invariant-a-pause-lapses)
  (<= (get paused-until (var-get config)) (+ burn-block-height MAX-PAUSE)))

;; `rv` counts the calls that succeed. Each prints once; three events are as old as the contract.
(define-read-only (invariant-one-event-for-each-call)
  (is-eq (var-get seq) (fold add-calls (list
    "drive-open" "drive-open-tokens" "drive-start" "drive-start-tokens" "drive-accept" "drive-cancel" "drive-decline" "drive-submit" "drive-reject"
    "drive-extend" "drive-dispute" "drive-offer" "drive-withdraw" "drive-agree" "drive-release" "drive-timeout"
    "drive-expired" "drive-resolve" "drive-stale" "drive-govern") u3)))
(define-private (add-calls (name (string-ascii 100)) (sum uint))
  (+ sum (get called (default-to {called: u0} (map-get? context name)))))

;; ---- properties

(define-public (test-a-quote-adds-up (n uint) (bps uint))
  (let ((amount (* n u400000000)) (share (mod bps u10001)) (q (quote amount share)))
    (asserts! (is-eq amount (+ (get payout q) (get fee q) (get refund q))) ERR-WRONG)
    (asserts! (<= (* u10 (get fee q)) (+ (get fee q) (get payout q))) ERR-WRONG)
    (asserts! (<= (get refund q) amount) ERR-WRONG)
    (ok true)))

;; (ok false) is how a case is passed over.
(define-public (test-opening-and-cancelling-changes-nothing (who principal) (a uint) (b uint) (due uint))
  (let ((before (stx-get-balance tx-sender)) (held (stx-get-balance SELF)) (counted (get-locked none)) (terms (terms-of a b due)))
    (match (open-project who none terms u0 0x00 none)
      id (begin
        (asserts! (is-eq (stx-get-balance SELF) (+ held (get total (unwrap-panic (map-get? projects id))))) ERR-WRONG)
        (unwrap! (cancel-unaccepted id none) ERR-WRONG)
        (asserts! (is-eq before (stx-get-balance tx-sender)) ERR-WRONG)
        (asserts! (and (is-eq held (stx-get-balance SELF)) (is-eq counted (get-locked none))) ERR-WRONG)
        (asserts! (is-err (cancel-unaccepted id none)) ERR-WRONG)
        (ok true))
      code (ok false))))

;; Any share of any amount: what leaves the escrow is the amount, and each gets what the milestone says.
(define-public (test-a-settlement-pays-to-the-unit (who principal) (a uint) (bps uint))
  (let ((held (stx-get-balance SELF)) (counted (get-locked none)) (gets (stx-get-balance who)) (share (mod bps u10001)))
    (match (open-project who none (terms-of a a u9) u0 0x00 none)
      id (let ((pr (unwrap-panic (map-get? projects id))) (half (/ (get total pr) u2)) (left (stx-get-balance tx-sender)))
        (map-set projects id (merge pr {status: ACTIVE}))
        (unwrap! (settle id u1 share "settle" none) ERR-WRONG)
        (let ((ms (unwrap-panic (map-get? milestones {p: id, m: u1}))))
          (asserts! (is-eq half (+ (get payout ms) (get fee ms) (get refund ms))) ERR-WRONG)
          (asserts! (is-eq (+ held half) (stx-get-balance SELF)) ERR-WRONG)
          (asserts! (is-eq (+ counted half) (get-locked none)) ERR-WRONG)
          ;; Fees go to the deployer here, who may be one of the parties too.
          (asserts! (or (is-eq who GOVERNOR) (is-eq (stx-get-balance who) (+ gets (get payout ms)))) ERR-WRONG)
          (asserts! (or (is-eq tx-sender GOVERNOR) (is-eq (stx-get-balance tx-sender) (+ left (get refund ms)))) ERR-WRONG))
        (asserts! (is-err (release id u1 none)) ERR-WRONG)
        (ok true))
      code (ok false))))

(define-public (test-a-fee-is-set-by-the-governor-within-its-limit (bps uint))
  (let ((fee (mod bps u2000)) (before (get fee-bps (var-get config))) (may (and (is-eq contract-caller GOVERNOR) (<= fee MAX-FEE-BPS))))
    (asserts! (is-eq may (is-ok (set-fee fee))) ERR-WRONG)
    (asserts! (is-eq (get fee-bps (var-get config)) (if may fee before)) ERR-WRONG)
    (ok true)))

(define-public (test-a-pause-ends-within-a-week (blocks uint))
  (let ((until (+ burn-block-height (mod blocks u2000))) (may (and (is-eq contract-caller GOVERNOR) (<= (mod blocks u2000) MAX-PAUSE))))
    (asserts! (is-eq may (is-ok (set-paused true until))) ERR-WRONG)
    (if may (unwrap! (set-paused false u0) ERR-WRONG) true)
    (ok true)))
