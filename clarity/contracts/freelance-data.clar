;; freelance-data: who the users are and what the escrow says that they did.
;; Statistics come from writer contracts only, attestations from attestors only, and nothing can be set by hand.

(define-constant GOVERNOR .freelance-security)
(define-constant WRITER .freelance-logic)
(define-constant VERSION "1.0.0")
;; Most that one payment can be. A sum of such cannot overflow, which would abort the payment that it is about.
(define-constant MAX-GROSS u1000000000000000000)

(define-constant ERR-NOT-GOVERNOR (err u1100))
(define-constant ERR-NOT-WRITER (err u1101))
(define-constant ERR-NOT-ATTESTOR (err u1102))
(define-constant ERR-HANDLE-LENGTH (err u1103))
(define-constant ERR-HANDLE-TAKEN (err u1104))
(define-constant ERR-EXPIRES-PAST (err u1105))
(define-constant ERR-NOT-ATTESTED (err u1106))
(define-constant ERR-NOT-CLOSED (err u1107))
(define-constant ERR-NOT-PARTY (err u1108))
(define-constant ERR-STARS (err u1109))
(define-constant ERR-RATED (err u1110))
(define-constant ERR-ANCHORED (err u1111))
(define-constant ERR-SPAN (err u1112))
(define-constant ERR-NO-CHANGE (err u1113))
(define-constant ERR-GROSS (err u1114))

(define-data-var seq uint u0)
(define-data-var head (buff 32) 0x0000000000000000000000000000000000000000000000000000000000000000)

(define-map writers principal bool)
(define-map attestors principal bool)
(define-map categories uint {name: (string-ascii 50), on: bool})
(define-map profiles principal {handle: (string-ascii 50), meta: (buff 32)})
(define-map handles (string-ascii 50) principal)
(define-map x-accounts principal {handle-hash: (buff 32), expires: uint})
(define-map x-owners (buff 32) principal)
(define-map stats principal {completed: uint, settled: uint, disputes: uint, lost: uint, rating-sum: uint, rating-count: uint})
(define-map earned {user: principal, asset: (optional principal)} uint)
(define-map closed {writer: principal, project: uint} {client: principal, freelancer: principal})
(define-map ratings {writer: principal, project: uint, from: principal} uint)
(define-map anchors {epoch: uint, board: (string-ascii 24)} {root: (buff 32), count: uint})

;; The header of the next event. Whoever prints it stores the hash of the whole event as the new head.
(define-private (hdr (topic (string-ascii 40)))
  (let ((s (+ u1 (var-get seq))))
    (var-set seq s)
    {topic: topic, v: u1, seq: s, prev: (var-get head), bh: burn-block-height, by: contract-caller}))

;; ---- governor

(define-public (set-writer (who principal) (on bool))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (is-eq on (writer? who))) ERR-NO-CHANGE)
    (map-set writers who on)
    (let ((ev (merge (hdr "writer-set") {data: {who: who, on: on}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (set-attestor (who principal) (on bool))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (asserts! (not (is-eq on (attestor? who))) ERR-NO-CHANGE)
    (map-set attestors who on)
    (let ((ev (merge (hdr "attestor-set") {data: {who: who, on: on}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (set-category (id uint) (name (string-ascii 50)) (on bool))
  (begin
    (asserts! (is-eq contract-caller GOVERNOR) ERR-NOT-GOVERNOR)
    (map-set categories id {name: name, on: on})
    (let ((ev (merge (hdr "category-set") {data: {id: id, name: name, on: on}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- users

;; Handles are unique; taking a new one frees the old one.
(define-public (set-profile (handle (string-ascii 50)) (meta (buff 32)))
  (let ((user contract-caller))
    (asserts! (>= (len handle) u3) ERR-HANDLE-LENGTH)
    (asserts! (is-eq user (default-to user (map-get? handles handle))) ERR-HANDLE-TAKEN)
    (match (map-get? profiles user) old (map-delete handles (get handle old)) true)
    (map-set handles handle user)
    (map-set profiles user {handle: handle, meta: meta})
    (let ((ev (merge (hdr "profile-set") {data: {user: user, handle: handle, meta: meta}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; A party of a closed project rates the other one, once.
(define-public (rate (writer principal) (project uint) (stars uint) (comment (buff 32)))
  (let ((from contract-caller)
        (p (unwrap! (map-get? closed {writer: writer, project: project}) ERR-NOT-CLOSED))
        (to (if (is-eq from (get client p)) (get freelancer p) (get client p)))
        (st (get-stats to)))
    (asserts! (or (is-eq from (get client p)) (is-eq from (get freelancer p))) ERR-NOT-PARTY)
    (asserts! (and (>= stars u1) (<= stars u5)) ERR-STARS)
    (asserts! (map-insert ratings {writer: writer, project: project, from: from} stars) ERR-RATED)
    (map-set stats to (merge st {rating-sum: (+ stars (get rating-sum st)), rating-count: (+ u1 (get rating-count st))}))
    (let ((ev (merge (hdr "rated") {data: {writer: writer, project: project, from: from, to: to, stars: stars, comment: comment}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- attestors

;; One X account belongs to one user at a time: a second user needs the first attestation revoked or expired.
(define-public (attest-x (user principal) (handle-hash (buff 32)) (expires uint))
  (let ((owner (default-to user (map-get? x-owners handle-hash))))
    (asserts! (attestor? contract-caller) ERR-NOT-ATTESTOR)
    (asserts! (> expires burn-block-height) ERR-EXPIRES-PAST)
    (asserts! (or (is-eq owner user) (not (holds-x? owner handle-hash))) ERR-HANDLE-TAKEN)
    (if (is-eq owner user) true (map-delete x-accounts owner))
    (match (map-get? x-accounts user) old (map-delete x-owners (get handle-hash old)) true)
    (map-set x-owners handle-hash user)
    (map-set x-accounts user {handle-hash: handle-hash, expires: expires})
    (let ((ev (merge (hdr "x-attested") {data: {user: user, handle-hash: handle-hash, expires: expires}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (revoke-x (user principal))
  (let ((x (unwrap! (map-get? x-accounts user) ERR-NOT-ATTESTED)))
    (asserts! (attestor? contract-caller) ERR-NOT-ATTESTOR)
    (map-delete x-accounts user)
    (map-delete x-owners (get handle-hash x))
    (let ((ev (merge (hdr "x-revoked") {data: {user: user}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; Scores live off chain; their Merkle root makes each of them provable. A root is final.
(define-public (publish-leaderboard (epoch uint) (board (string-ascii 24)) (root (buff 32)) (count uint) (algo (string-ascii 24)) (from-bh uint) (to-bh uint))
  (begin
    (asserts! (attestor? contract-caller) ERR-NOT-ATTESTOR)
    (asserts! (and (<= from-bh to-bh) (<= to-bh burn-block-height)) ERR-SPAN)
    (asserts! (map-insert anchors {epoch: epoch, board: board} {root: root, count: count}) ERR-ANCHORED)
    (let ((ev (merge (hdr "leaderboard-anchored") {data: {epoch: epoch, board: board, root: root, count: count, algo: algo, from-bh: from-bh, to-bh: to-bh}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

;; ---- writers

;; A settled milestone. `end` is some when it was the project's last one: true if all of it went to the freelancer.
(define-public (record-paid (user principal) (client principal) (asset (optional principal)) (gross uint) (project uint) (m uint)
    (cause (string-ascii 12)) (end (optional bool)) (lost (optional principal)))
  (let ((st (get-stats user))
        (completed (default-to false end)))
    (asserts! (writer? contract-caller) ERR-NOT-WRITER)
    (asserts! (<= gross MAX-GROSS) ERR-GROSS)
    (map-set earned {user: user, asset: asset} (+ gross (get-earned user asset)))
    (map-set stats user (merge st {
      completed: (+ (get completed st) (if completed u1 u0)),
      settled: (+ u1 (get settled st))}))
    (match lost who (add-lost who) true)
    (if (is-some end) (map-insert closed {writer: contract-caller, project: project} {client: client, freelancer: user}) true)
    (let ((ev (merge (hdr "paid-recorded") {data: {writer: contract-caller, user: user, client: client, asset: asset, gross: gross,
            project: project, m: m, cause: cause, completed: completed, closed: (is-some end), lost: lost}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-public (record-dispute (client principal) (freelancer principal) (project uint) (m uint))
  (begin
    (asserts! (writer? contract-caller) ERR-NOT-WRITER)
    (add-dispute client)
    (add-dispute freelancer)
    (let ((ev (merge (hdr "dispute-recorded") {data: {writer: contract-caller, client: client, freelancer: freelancer, project: project, m: m}})))
      (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
      (print ev))
    (ok true)))

(define-private (add-lost (who principal))
  (let ((st (get-stats who)))
    (map-set stats who (merge st {lost: (+ u1 (get lost st))}))))

(define-private (add-dispute (who principal))
  (let ((st (get-stats who)))
    (map-set stats who (merge st {disputes: (+ u1 (get disputes st))}))))

;; ---- reads

(define-read-only (get-cursor) {seq: (var-get seq), head: (var-get head)})
(define-read-only (writer? (who principal)) (default-to false (map-get? writers who)))
(define-read-only (attestor? (who principal)) (default-to false (map-get? attestors who)))
(define-read-only (get-category (id uint)) (map-get? categories id))
(define-read-only (get-profile (user principal)) (map-get? profiles user))
(define-read-only (get-handle (handle (string-ascii 50))) (map-get? handles handle))
(define-read-only (get-stats (user principal))
  (default-to {completed: u0, settled: u0, disputes: u0, lost: u0, rating-sum: u0, rating-count: u0} (map-get? stats user)))
(define-read-only (get-earned (user principal) (asset (optional principal))) (default-to u0 (map-get? earned {user: user, asset: asset})))
(define-read-only (get-rating (writer principal) (project uint) (from principal)) (map-get? ratings {writer: writer, project: project, from: from}))
(define-read-only (get-root (epoch uint) (board (string-ascii 24))) (map-get? anchors {epoch: epoch, board: board}))
(define-read-only (get-x (user principal)) (map-get? x-accounts user))
(define-read-only (x-valid? (user principal))
  (match (map-get? x-accounts user) x (>= (get expires x) burn-block-height) false))
(define-private (holds-x? (user principal) (handle-hash (buff 32)))
  (match (map-get? x-accounts user) x (and (is-eq handle-hash (get handle-hash x)) (>= (get expires x) burn-block-height)) false))

(map-set writers WRITER true)
(let ((ev (merge (hdr "genesis") {data: {ver: VERSION, governor: GOVERNOR, writer: WRITER}})))
  (var-set head (sha256 (unwrap-panic (to-consensus-buff? ev))))
  (print ev))
