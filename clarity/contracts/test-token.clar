;; A SIP-010 token for devnets and tests: anyone may mint. Worthless by construction; never deploy it where money lives.
(impl-trait .freelance-traits.ft-trait)
(define-fungible-token test-token)
(define-constant ERR-NOT-OWNER (err u4001))

(define-public (mint (amount uint) (recipient principal))
  (ft-mint? test-token amount recipient))

(define-public (transfer (amount uint) (sender principal) (recipient principal) (memo (optional (buff 34))))
  (begin
    (asserts! (or (is-eq tx-sender sender) (is-eq contract-caller sender)) ERR-NOT-OWNER)
    (try! (ft-transfer? test-token amount sender recipient))
    (match memo m (print m) 0x)
    (ok true)))

(define-read-only (get-name) (ok "Test Token"))
(define-read-only (get-symbol) (ok "TEST"))
(define-read-only (get-decimals) (ok u8))
(define-read-only (get-balance (who principal)) (ok (ft-get-balance test-token who)))
(define-read-only (get-total-supply) (ok (ft-get-supply test-token)))
(define-read-only (get-token-uri) (ok none))
