;; The two standards that the marketplace speaks, as traits of its own, so that it deploys anywhere.
;; Clarity checks a token against a trait by the shape of its functions, so any SIP-010 token fits.

;; SIP-009, non-fungible token
(define-trait nft-trait (
  (get-last-token-id () (response uint uint))
  (get-token-uri (uint) (response (optional (string-ascii 256)) uint))
  (get-owner (uint) (response (optional principal) uint))
  (transfer (uint principal principal) (response bool uint))))

;; SIP-010, fungible token
(define-trait ft-trait (
  (transfer (uint principal principal (optional (buff 34))) (response bool uint))
  (get-name () (response (string-ascii 32) uint))
  (get-symbol () (response (string-ascii 32) uint))
  (get-decimals () (response uint uint))
  (get-balance (principal) (response uint uint))
  (get-total-supply () (response uint uint))
  (get-token-uri () (response (optional (string-utf8 256)) uint))))
