;; Invariants of the multisig, for `rv`: see freelance-logic.tests.clar. run.mjs makes five accounts the signers and
;; names all six in EVERYBODY, so whoever is swapped in is one of them.

(define-constant ERR-BUSY (err u9001))
(define-constant NAMES (list "set-fee" "set-treasury" "set-arbiter" "set-asset" "disable-asset" "resolve" "set-params" "pause"
  "unpause" "set-writer" "set-attestor" "set-category" "set-minter" "set-kind" "set-uri" "revoke-badge" "migrate-badge"
  "swap-signer" "set-budget" "spend"))

;; One of the newest three actions.
(define-private (pick (n uint))
  (let ((last (var-get last-action)) (back (mod n u3))) (if (> last back) (- last back) u1)))

;; ---- calls

;; Mostly when the newest action is over, so that some collect enough approvals.
(define-public (drive-propose (n uint) (p1 principal) (p2 principal) (n1 uint) (n2 uint) (b bool))
  (begin
    (asserts! (or (is-eq u0 (mod n u4)) (not (pending? (var-get last-action)))) ERR-BUSY)
    (propose (unwrap-panic (element-at? NAMES (mod n (len NAMES)))) {p1: (some p1), p2: (some p2), n1: (mod n1 u1500),
      n2: (+ u6 (mod n2 u100)), n3: u10, n4: u10, b: b, h: 0x01, s: "any"})))
;; Money moves more often this way.
(define-public (drive-propose-money (n uint) (to principal) (amount uint) (period uint))
  (begin
    (asserts! (or (is-eq u0 (mod n u4)) (not (pending? (var-get last-action)))) ERR-BUSY)
    (if (is-eq u0 (mod n u3))
      (propose "set-budget" {p1: none, p2: none, n1: (mod amount u5000), n2: (mod period u400), n3: u0, n4: u0, b: false, h: 0x02, s: ""})
      (propose "spend" {p1: (some to), p2: none, n1: (mod amount u2000), n2: u0, n3: u0, n4: u0, b: false, h: 0x03, s: ""}))))
(define-public (drive-approve (n uint)) (approve (pick n)))
(define-public (drive-revoke (n uint)) (revoke-approval (pick n)))
(define-public (drive-reject (n uint)) (reject (pick n)))
(define-public (drive-cancel (n uint)) (cancel (pick n)))
(define-public (drive-execute (n uint)) (execute (pick n) none))
(define-public (drive-fund (amount uint)) (stx-transfer? (+ u1 (mod amount u10000)) tx-sender SELF))

;; ---- invariants

(define-read-only (invariant-five-signers)
  (is-eq u5 (len (filter signer? EVERYBODY))))

(define-read-only (invariant-votes-are-counted (n uint))
  (match (map-get? actions (pick n))
    a (let ((votes (fold count-votes EVERYBODY {id: (pick n), for: u0, against: u0})))
      (and (is-eq (get approvals a) (get for votes))
           (is-eq (get rejections a) (get against votes))
           (or (< (get rejections a) REJECTIONS) (is-eq CANCELLED (get status a)))))
    true))
(define-private (count-votes (who principal) (acc {id: uint, for: uint, against: uint}))
  (merge acc {
    for: (+ (get for acc) (if (approved? (get id acc) who) u1 u0)),
    against: (+ (get against acc) (if (default-to false (map-get? rejected {id: (get id acc), who: who})) u1 u0))}))

(define-read-only (invariant-what-ran-was-due-and-approved (n uint))
  (match (map-get? actions (pick n))
    a (or (not (is-eq EXECUTED (get status a)))
          (and (>= (get approvals a) (threshold (get class a))) (>= burn-block-height (get eta a))
               (is-eq (some (get class a)) (map-get? kinds (get kind a)))))
    true))

(define-read-only (invariant-no-budget-is-overspent)
  (match (map-get? budgets none) b (<= (get spent b) (get amount b)) true))

;; Running an action prints once, and once more if it concerns the multisig itself.
(define-read-only (invariant-an-event-for-each-call)
  (let ((calls (fold add-calls (list "drive-propose" "drive-propose-money" "drive-approve" "drive-revoke" "drive-reject"
          "drive-cancel" "drive-execute") u1)))
    (and (>= (var-get seq) calls) (<= (var-get seq) (add-calls "drive-execute" calls)))))
(define-private (add-calls (name (string-ascii 100)) (sum uint))
  (+ sum (get called (default-to {called: u0} (map-get? context name)))))
