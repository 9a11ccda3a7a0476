;; freelance-security: five signers govern the other contracts and the treasury, through typed actions that really run.
;; Critical actions need three signers and 144 burn blocks, routine ones two and 24, emergencies two and none.

(use-trait ft .freelance-traits.ft-trait)

(define-constant SELF (as-contract tx-sender))
(define-constant VERSION "1.0.0")
(define-constant CRITICAL u1)
(define-constant ROUTINE u2)
(define-constant EMERGENCY u3)
(define-constant LIFETIME u2016)
(define-constant REJECTIONS u3)
;; The first signers. The deployment replaces these addresses of the devnet by its own.
(define-constant SIGNERS (list
  'STJNTY4WQHB4VE98Q23APNNTAXD96GR03CGQGH3D
  'ST2K1VRFE4PD9QTBNPCCMBE3V6EGX1X63SJFJ4XEF
  'ST3DPFQH4RF523AXH3PQKHVPWDBVKM6M13QDR9X8E
  'ST3CJ1SC58EMNDXCFTSFCSF0N1CG85YA18F32MQ5E
  'ST1HMT58M1A000YFVZNT1TNJPHW0S1GBS7TYNQ6WD))

(define-constant ERR-NOT-SIGNER (err u1500))
(define-constant ERR-UNKNOWN-KIND (err u1501))
(define-constant ERR-UNKNOWN-ACTION (err u1502))
(define-constant ERR-NOT-PENDING (err u1503))
(define-constant ERR-APPROVED (err u1504))
(define-constant ERR-NOT-APPROVED (err u1505))
(define-constant ERR-REJECTED (err u1506))
(define-constant ERR-NOT-PROPOSER (err u1507))
(define-constant ERR-TOO-FEW (err u1508))
(define-constant ERR-TIMELOCK (err u1509))
(define-constant ERR-ARGUMENT (err u1510))
(define-constant ERR-SIGNERS (err u1511))
(define-constant ERR-BUDGET (err u1512))
(define-constant ERR-STX-TRANSFER (err u1590))
(define-constant ERR-FT-TRANSFER (err u1591))

(define-data-var seq uint u0)
(define-data-var head (buff 32) 0x0000000000000000000000000000000000000000000000000000000000000000)
(define-data-var epoch uint u1)
(define-data-var last-action uint u0)

(define-map signers principal bool)
(define-map kinds (string-ascii 24) uint)
(define-map actions uint {kind: (string-ascii 24), class: uint, proposer: principal, epoch: uint, eta: uint, expires: uint,
  approvals: uint, rejections: uint, status: uint,
  args: {p1: (optional principal), p2: (optional principal), n1: uint, n2: uint, n3: uint, n4: uint, b: bool, h: (buff 32), s: (string-ascii 80)}})
(define-map approved {id: uint, who: principal} bool)
(define-map rejected {id: uint, who: principal} bool)
(define-map budgets (optional principal) {amount: uint, period: uint, since: uint, spent: uint})
;; action status
(define-constant PENDING u0)
(define-constant EXECUTED u1)
(define-constant CANCELLED u2)

(define-private (hdr (topic (string-ascii 40)))
  (let ((s (+ u1 (var-get seq))))
    (var-set seq s)
    {topic: topic, v: u1, seq: s, prev: (var-get head), bh: burn-block-height, by: contract-caller}))

;; ---- the life of an action

(define-public (propose (kind (string-ascii 24)) (args {p1: (optional principal), p2: (optional principal),
    n1: uint, n2: uint, n3: uint, n4: uint, b: bool, h: (buff 32), s: (string-ascii 80)}))
  (let ((id (+ u1 (var-get last-action)))
        (class (unwrap! (map-get? kinds kind) ERR-UNKNOWN-KIND))
        (eta (+ burn-block-height (delay class)))
        (expires (+ eta LIFETIME)))
    (asserts! (signer? contract-caller) ERR-NOT-SIGNER)
    (var-set last-action id)
    (map-set approved {id: id, who: contract-caller} true)
    (map-set actions id {kind: kind, class: class, proposer: contract-caller, epoch: (var-get epoch), eta: eta, expires: expires,
      approvals: u1, rejections: u0, status: PENDING, args: args})
    (let ((ev (merge (hdr "action-proposed") {data: {id: id, class: class, kind: kind, args: args, eta: eta, expires: expires, epoch: (var-get epoch)}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok id)))

(define-public (approve (id uint))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)) (n (+ u1 (get approvals a))))
    (try! (check id))
    (asserts! (map-insert approved {id: id, who: contract-caller} true) ERR-APPROVED)
    (map-set actions id (merge a {approvals: n}))
    (let ((ev (merge (hdr "action-approved") {data: {id: id, n: n}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok n)))

(define-public (revoke-approval (id uint))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)))
    (try! (check id))
    (asserts! (map-delete approved {id: id, who: contract-caller}) ERR-NOT-APPROVED)
    (let ((n (- (get approvals a) u1))
          (ev (merge (hdr "approval-revoked") {data: {id: id, n: n}})))
      (map-set actions id (merge a {approvals: n}))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev)
      (ok n))))

;; The third rejection ends an action.
(define-public (reject (id uint))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)) (n (+ u1 (get rejections a))) (over (>= n REJECTIONS)))
    (try! (check id))
    (asserts! (map-insert rejected {id: id, who: contract-caller} true) ERR-REJECTED)
    (map-set actions id (merge a {rejections: n, status: (if over CANCELLED PENDING)}))
    (let ((ev (merge (hdr "action-rejected") {data: {id: id, n: n, cancelled: over}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok n)))

(define-public (cancel (id uint))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)))
    (try! (check id))
    (asserts! (is-eq contract-caller (get proposer a)) ERR-NOT-PROPOSER)
    (map-set actions id (merge a {status: CANCELLED}))
    (let ((ev (merge (hdr "action-cancelled") {data: {id: id}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; A failing action changes nothing and stays pending. `token` is the asset of a payment, a ruling or a `set-asset` that is
;; not about STX; the token of a `set-asset` is tried with one base unit of whoever executes it.
(define-public (execute (id uint) (token (optional <ft>)))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)))
    (try! (check id))
    (asserts! (>= (get approvals a) (threshold (get class a))) ERR-TOO-FEW)
    (asserts! (>= burn-block-height (get eta a)) ERR-TIMELOCK)
    (map-set actions id (merge a {status: EXECUTED}))
    (let ((ev (merge (hdr "action-executed") {data: {id: id, kind: (get kind a)}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (run id (get kind a) (get args a) token)))

;; A signer, and an action of this epoch that is pending and has not expired.
(define-private (check (id uint))
  (let ((a (unwrap! (map-get? actions id) ERR-UNKNOWN-ACTION)))
    (asserts! (signer? contract-caller) ERR-NOT-SIGNER)
    (ok (asserts! (live? a) ERR-NOT-PENDING))))

(define-private (run (id uint) (kind (string-ascii 24)) (a {p1: (optional principal), p2: (optional principal),
    n1: uint, n2: uint, n3: uint, n4: uint, b: bool, h: (buff 32), s: (string-ascii 80)}) (token (optional <ft>)))
  (if (is-eq kind "set-fee") (contract-call? .freelance-logic set-fee (get n1 a))
  (if (is-eq kind "set-treasury") (contract-call? .freelance-logic set-treasury (unwrap! (get p1 a) ERR-ARGUMENT))
  (if (is-eq kind "set-arbiter") (contract-call? .freelance-logic set-arbiter (unwrap! (get p1 a) ERR-ARGUMENT))
  (if (is-eq kind "set-asset") (contract-call? .freelance-logic set-asset (get p1 a) (get b a) (get n1 a) (get n2 a) contract-caller token)
  (if (is-eq kind "disable-asset")
    (let ((x (unwrap! (contract-call? .freelance-logic get-asset (get p1 a)) ERR-ARGUMENT)))
      (contract-call? .freelance-logic set-asset (get p1 a) false (get max x) (get decimals x) contract-caller none))
  (if (is-eq kind "resolve") (contract-call? .freelance-logic resolve (get n1 a) (get n2 a) (get n3 a) token)
  (if (is-eq kind "set-params") (contract-call? .freelance-logic set-params (get n1 a) (get n2 a) (get n3 a) (get n4 a))
  (if (is-eq kind "pause") (contract-call? .freelance-logic set-paused true (get n1 a))
  (if (is-eq kind "unpause") (contract-call? .freelance-logic set-paused false u0)
  (if (is-eq kind "set-writer") (contract-call? .freelance-data set-writer (unwrap! (get p1 a) ERR-ARGUMENT) (get b a))
  (if (is-eq kind "set-attestor") (contract-call? .freelance-data set-attestor (unwrap! (get p1 a) ERR-ARGUMENT) (get b a))
  (if (is-eq kind "set-category") (contract-call? .freelance-data set-category (get n1 a) (unwrap! (as-max-len? (get s a) u50) ERR-ARGUMENT) (get b a))
  (if (is-eq kind "set-minter") (contract-call? .freelance-badges set-minter (unwrap! (get p1 a) ERR-ARGUMENT) (get b a))
  (if (is-eq kind "set-kind")
    (contract-call? .freelance-badges set-kind (get n1 a) (unwrap! (as-max-len? (get s a) u24) ERR-ARGUMENT) (get n2 a) (get n3 a) (get b a))
  (if (is-eq kind "set-uri") (contract-call? .freelance-badges set-uri (get s a))
  (if (is-eq kind "revoke-badge") (contract-call? .freelance-badges revoke (get n1 a) (get h a))
  (if (is-eq kind "migrate-badge") (contract-call? .freelance-badges migrate (get n1 a) (unwrap! (get p1 a) ERR-ARGUMENT))
  (if (is-eq kind "swap-signer") (swap (unwrap! (get p1 a) ERR-ARGUMENT) (unwrap! (get p2 a) ERR-ARGUMENT))
  (if (is-eq kind "set-budget") (budget (get p1 a) (get n1 a) (get n2 a))
  (if (is-eq kind "spend") (spend id (unwrap! (get p1 a) ERR-ARGUMENT) (get p2 a) (get n1 a) (get h a) token)
  ERR-UNKNOWN-KIND)))))))))))))))))))))

;; ---- signers; always as many as at the start, so no threshold can grow out of reach

(define-private (swap (old principal) (new principal))
  (let ((e (+ u1 (var-get epoch))))
    (asserts! (and (signer? old) (not (signer? new)) (not (is-eq new SELF))) ERR-SIGNERS)
    (map-delete signers old)
    (map-set signers new true)
    (var-set epoch e)
    (let ((ev (merge (hdr "signers-changed") {data: {epoch: e, added: new, removed: old, count: (len SIGNERS)}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- treasury: fees come in as plain transfers, and go out within a budget per asset and period of burn blocks

(define-private (budget (asset (optional principal)) (amount uint) (period uint))
  (begin
    (asserts! (> period u0) ERR-ARGUMENT)
    (map-set budgets asset {amount: amount, period: period, since: burn-block-height, spent: u0})
    (let ((ev (merge (hdr "budget-set") {data: {asset: asset, amount: amount, period: period}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-private (spend (action uint) (to principal) (asset (optional principal)) (amount uint) (reference (buff 32)) (token (optional <ft>)))
  (let ((b (unwrap! (map-get? budgets asset) ERR-BUDGET))
        (fresh (>= burn-block-height (+ (get since b) (get period b))))
        (spent (+ amount (if fresh u0 (get spent b)))))
    (asserts! (is-eq asset (match token t (some (contract-of t)) none)) ERR-ARGUMENT)
    (asserts! (not (is-eq to SELF)) ERR-ARGUMENT)
    (asserts! (<= spent (get amount b)) ERR-BUDGET)
    (map-set budgets asset (merge b {since: (if fresh burn-block-height (get since b)), spent: spent}))
    (match token
      ;; Not `as-contract`: a token's code must not run with the treasury's authority.
      t (unwrap! (contract-call? t transfer amount SELF to none) ERR-FT-TRANSFER)
      (unwrap! (as-contract (stx-transfer? amount tx-sender to)) ERR-STX-TRANSFER))
    (let ((ev (merge (hdr "spent") {data: {asset: asset, amount: amount, to: to, reference: reference, action: action}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- reads

(define-read-only (get-cursor) {seq: (var-get seq), head: (var-get head)})
(define-read-only (signer? (who principal)) (default-to false (map-get? signers who)))
(define-read-only (get-epoch) (var-get epoch))
(define-read-only (get-last-action) (var-get last-action))
(define-read-only (get-action (id uint)) (map-get? actions id))
(define-read-only (get-kind (kind (string-ascii 24))) (map-get? kinds kind))
(define-read-only (get-budget (asset (optional principal))) (map-get? budgets asset))
(define-read-only (approved? (id uint) (who principal)) (default-to false (map-get? approved {id: id, who: who})))
(define-read-only (threshold (class uint)) (if (is-eq class CRITICAL) u3 u2))
(define-read-only (delay (class uint)) (if (is-eq class CRITICAL) u144 (if (is-eq class ROUTINE) u24 u0)))
(define-read-only (pending? (id uint)) (match (map-get? actions id) a (live? a) false))
(define-private (live? (a {kind: (string-ascii 24), class: uint, proposer: principal, epoch: uint, eta: uint, expires: uint,
    approvals: uint, rejections: uint, status: uint,
    args: {p1: (optional principal), p2: (optional principal), n1: uint, n2: uint, n3: uint, n4: uint, b: bool, h: (buff 32), s: (string-ascii 80)}}))
  (and (is-eq PENDING (get status a)) (is-eq (get epoch a) (var-get epoch)) (<= burn-block-height (get expires a))))

(define-private (seat (who principal)) (map-insert signers who true))
(define-private (criticals (kind (string-ascii 24))) (map-set kinds kind CRITICAL))
(define-private (routines (kind (string-ascii 24))) (map-set kinds kind ROUTINE))
(define-private (emergencies (kind (string-ascii 24))) (map-set kinds kind EMERGENCY))

;; Five different ones, or the deployment fails.
(asserts! (is-eq u5 (len (filter seat SIGNERS))) ERR-SIGNERS)
(map criticals (list "set-fee" "set-treasury" "set-asset" "set-params" "set-writer" "set-attestor" "set-minter" "set-kind"
  "revoke-badge" "migrate-badge" "swap-signer" "set-budget" "spend"))
(map routines (list "set-arbiter" "set-category" "set-uri" "unpause" "resolve"))
(map emergencies (list "pause" "disable-asset"))
(let ((ev (merge (hdr "genesis") {data: {ver: VERSION, signers: SIGNERS, critical: u3, routine: u2, emergency: u2}})))
  (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
  (print ev))
