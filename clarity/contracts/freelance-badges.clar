;; freelance-badges: soul-bound SIP-009 badges (SIP-016 metadata), one per user and kind, minted only if earned.
;; A minter may mint, an owner may claim; either way the contract looks the deeds up in freelance-data itself.

(impl-trait .freelance-traits.nft-trait)
(define-non-fungible-token badge uint)

(define-constant GOVERNOR .freelance-security)
(define-constant VERSION "1.0.0")
(define-constant FIRST-URI "ipfs://stxworx-badges/{id}.json")

(define-constant ERR-NOT-GOVERNOR (err u1300))
(define-constant ERR-NOT-MINTER (err u1301))
(define-constant ERR-UNKNOWN-KIND (err u1302))
(define-constant ERR-SOULBOUND (err u1303))
(define-constant ERR-NOT-EARNED (err u1304))
(define-constant ERR-HELD (err u1305))
(define-constant ERR-REVOKED (err u1306))
(define-constant ERR-UNKNOWN-BADGE (err u1307))
(define-constant ERR-MINT (err u1308))
(define-constant ERR-NO-CHANGE (err u1309))

(define-data-var seq uint u0)
(define-data-var head (buff 32) 0x0000000000000000000000000000000000000000000000000000000000000000)
(define-data-var last-id uint u0)
(define-data-var uri (string-ascii 80) FIRST-URI)

(define-map minters principal bool)
(define-map kinds uint {name: (string-ascii 24), projects: uint, rating: uint, needs-x: bool})
(define-map badges uint {owner: principal, kind: uint})
(define-map owned {user: principal, kind: uint} uint)
(define-map barred {user: principal, kind: uint} bool)

(define-private (hdr (topic (string-ascii 40)))
  (let ((s (+ u1 (var-get seq))))
    (var-set seq s)
    {topic: topic, v: u1, seq: s, prev: (var-get head), bh: burn-block-height, by: contract-caller}))

;; ---- minting

(define-public (mint (recipient principal) (kind uint))
  (begin
    (asserts! (minter? contract-caller) ERR-NOT-MINTER)
    (grant recipient kind "mint")))

(define-public (claim (kind uint))
  (grant contract-caller kind "claim"))

(define-private (grant (user principal) (kind uint) (via (string-ascii 12)))
  (let ((id (+ u1 (var-get last-id))))
    (asserts! (is-some (map-get? kinds kind)) ERR-UNKNOWN-KIND)
    (asserts! (not (barred? user kind)) ERR-REVOKED)
    (asserts! (earned? user kind) ERR-NOT-EARNED)
    (asserts! (map-insert owned {user: user, kind: kind} id) ERR-HELD)
    (var-set last-id id)
    (map-set badges id {owner: user, kind: kind})
    (unwrap! (nft-mint? badge id user) ERR-MINT)
    (let ((ev (merge (hdr "badge-minted") {data: {id: id, owner: user, kind: kind, via: via}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok id)))

;; ---- governor

(define-public (set-minter (who principal) (on bool))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (is-eq on (minter? who))) ERR-NO-CHANGE)
    (map-set minters who on)
    (let ((ev (merge (hdr "minter-set") {data: {who: who, on: on}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (set-kind (kind uint) (name (string-ascii 24)) (projects uint) (rating uint) (needs-x bool))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (put-kind kind {name: name, projects: projects, rating: rating, needs-x: needs-x})
    (ok true)))

(define-private (put-kind (kind uint) (k {name: (string-ascii 24), projects: uint, rating: uint, needs-x: bool}))
  (let ((ev (merge (hdr "kind-set") {data: (merge {kind: kind} k)})))
    (map-set kinds kind k)
    (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
    (print ev)
    true))

(define-public (set-uri (new (string-ascii 80)))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (var-set uri new)
    (let ((ev (merge (hdr "uri-set") {data: {uri: new}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; A revoked badge cannot be earned again: its deeds were found false.
(define-public (revoke (id uint) (reason (buff 32)))
  (let ((b (unwrap! (map-get? badges id) ERR-UNKNOWN-BADGE))
        (key {user: (get owner b), kind: (get kind b)}))
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (unwrap! (nft-burn? badge id (get owner b)) ERR-UNKNOWN-BADGE)
    (map-delete badges id)
    (map-delete owned key)
    (map-set barred key true)
    (let ((ev (merge (hdr "badge-revoked") {data: {id: id, owner: (get owner b), kind: (get kind b), reason: reason}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; A lost key: the badge follows its owner, and the old address cannot earn that kind again.
(define-public (migrate (id uint) (to principal))
  (let ((b (unwrap! (map-get? badges id) ERR-UNKNOWN-BADGE))
        (from (get owner b))
        (kind (get kind b)))
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (barred? to kind)) ERR-REVOKED)
    (asserts! (map-insert owned {user: to, kind: kind} id) ERR-HELD)
    (map-delete owned {user: from, kind: kind})
    (map-set barred {user: from, kind: kind} true)
    (map-set badges id {owner: to, kind: kind})
    (unwrap! (nft-transfer? badge id from to) ERR-UNKNOWN-BADGE)
    (let ((ev (merge (hdr "badge-migrated") {data: {id: id, from: from, to: to, kind: kind}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- SIP-009

(define-public (transfer (id uint) (from principal) (to principal)) ERR-SOULBOUND)
(define-read-only (get-last-token-id) (ok (var-get last-id)))
(define-read-only (get-token-uri (id uint)) (ok (if (is-some (map-get? badges id)) (some (var-get uri)) none)))
(define-read-only (get-owner (id uint)) (ok (nft-get-owner? badge id)))

;; ---- reads

(define-read-only (get-cursor) {seq: (var-get seq), head: (var-get head)})
(define-read-only (get-badge (id uint)) (map-get? badges id))
(define-read-only (badge-of (user principal) (kind uint)) (map-get? owned {user: user, kind: kind}))
(define-read-only (get-kind (kind uint)) (map-get? kinds kind))
(define-read-only (minter? (who principal)) (default-to false (map-get? minters who)))
(define-read-only (barred? (user principal) (kind uint)) (default-to false (map-get? barred {user: user, kind: kind})))
;; Enough completed projects, a high enough average rating (times 100), and an attested X account where asked for.
(define-read-only (earned? (user principal) (kind uint))
  (match (map-get? kinds kind)
    k (let ((st (contract-call? .freelance-data get-stats user)))
        (and (>= (get completed st) (get projects k))
             (or (is-eq u0 (get rating k))
                 (and (> (get rating-count st) u0) (>= (* u100 (get rating-sum st)) (* (get rating k) (get rating-count st)))))
             (or (not (get needs-x k)) (contract-call? .freelance-data x-valid? user))))
    false))

(let ((ev (merge (hdr "genesis") {data: {ver: VERSION, governor: GOVERNOR, uri: FIRST-URI}})))
  (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
  (print ev))
(put-kind u1 {name: "bronze", projects: u10, rating: u400, needs-x: false})
(put-kind u2 {name: "silver", projects: u25, rating: u450, needs-x: true})
(put-kind u3 {name: "gold", projects: u50, rating: u480, needs-x: true})
(put-kind u4 {name: "platinum", projects: u100, rating: u490, needs-x: true})
(put-kind u5 {name: "verified", projects: u0, rating: u0, needs-x: true})
