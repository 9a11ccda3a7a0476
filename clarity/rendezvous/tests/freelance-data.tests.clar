;; Invariants of profiles, attestations and statistics, for `rv`: see freelance-logic.tests.clar.

(define-constant HANDLES (list "ada" "bob" "cyd" "dora"))
(define-constant HASHES (list
  0x0000000000000000000000000000000000000000000000000000000000000001
  0x0000000000000000000000000000000000000000000000000000000000000002
  0x0000000000000000000000000000000000000000000000000000000000000003))
(define-private (handle-at (n uint)) (unwrap-panic (element-at? HANDLES (mod n u4))))
(define-private (hash-at (n uint)) (unwrap-panic (element-at? HASHES (mod n u3))))

;; ---- calls

(define-public (drive-profile (n uint)) (set-profile (handle-at n) 0x01))
(define-public (drive-writer (who principal) (on bool)) (set-writer who on))
(define-public (drive-attestor (who principal) (on bool)) (set-attestor who on))
(define-public (drive-category (n uint) (on bool)) (set-category (mod n u3) "design" on))
;; Short ones, so that many run out, and some that already have.
(define-public (drive-attest (user principal) (n uint) (expires uint))
  (attest-x user (hash-at n) (+ burn-block-height (mod expires u300))))
(define-public (drive-revoke (user principal)) (revoke-x user))
(define-public (drive-paid (user principal) (client principal) (gross uint) (p uint) (last bool) (all bool))
  (record-paid user client none gross (mod p u6) u1 "release" (if last (some all) none) (if all none (some user))))
(define-public (drive-dispute (client principal) (freelancer principal) (p uint)) (record-dispute client freelancer (mod p u6) u1))
(define-public (drive-rate (writer principal) (p uint) (stars uint)) (rate writer (mod p u6) (mod stars u7) 0x02))
(define-public (drive-anchor (n uint) (from uint) (to uint))
  (publish-leaderboard (mod n u20) "earnings" 0x03 u1 "sha256" (mod from (+ u2 burn-block-height)) (mod to (+ u2 burn-block-height))))

;; ---- invariants

(define-read-only (invariant-a-profile-has-its-handle (user principal))
  (match (map-get? profiles user) x (is-eq (some user) (map-get? handles (get handle x))) true))
(define-read-only (invariant-a-handle-has-its-profile (n uint))
  (match (map-get? handles (handle-at n)) user (is-eq (some (handle-at n)) (get handle (map-get? profiles user))) true))

(define-read-only (invariant-an-attested-user-owns-the-account (user principal))
  (match (map-get? x-accounts user) x (is-eq (some user) (map-get? x-owners (get handle-hash x))) true))
(define-read-only (invariant-an-account-is-its-owners (n uint))
  (match (map-get? x-owners (hash-at n)) user (is-eq (some (hash-at n)) (get handle-hash (map-get? x-accounts user))) true))

(define-read-only (invariant-statistics-agree (user principal))
  (let ((st (get-stats user)))
    (and (<= (get completed st) (get settled st))
         (<= (get lost st) (get settled st))
         (>= (get rating-sum st) (get rating-count st))
         (<= (get rating-sum st) (* u5 (get rating-count st))))))

(define-read-only (invariant-only-parties-of-what-is-closed-rate (writer principal) (p uint) (from principal))
  (match (map-get? ratings {writer: writer, project: (mod p u6), from: from})
    stars (match (map-get? closed {writer: writer, project: (mod p u6)})
      c (and (>= stars u1) (<= stars u5) (or (is-eq from (get client c)) (is-eq from (get freelancer c))))
      false)
    true))

(define-read-only (invariant-one-event-for-each-call)
  (is-eq (var-get seq) (fold add-calls (list "drive-profile" "drive-writer" "drive-attestor" "drive-category" "drive-attest"
    "drive-revoke" "drive-paid" "drive-dispute" "drive-rate" "drive-anchor") u1)))
(define-private (add-calls (name (string-ascii 100)) (sum uint))
  (+ sum (get called (default-to {called: u0} (map-get? context name)))))
