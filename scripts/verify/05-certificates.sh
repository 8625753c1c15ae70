# Whether a certificate chains to the authorities of a content (RFC 5280, by openssl), and what its authority says of it: the
# OCSP answer (RFC 6960) that an entry names, or else the newest list.

# A part `trust` (flattened) as PEM files: $tmp/trust.$1.anchors, .intermediates; lists as $tmp/trust.$1.crl.N
trust() {
  for kind in anchors intermediates; do
    below "$2" "$kind" | while read -r der; do pem CERTIFICATE "$der"; done >"$tmp/trust.$1.$kind"
  done
  n=0
  below "$2" crls >"$tmp/crls"
  while read -r der; do
    pem 'X509 CRL' "$der" >"$tmp/trust.$1.crl.$n"
    n=$((n + 1))
  done <"$tmp/crls"
  printf '%s\n' "$n" >"$tmp/trust.$1.crls"
}
# chain VERSION CERTIFICATE-PEM SECONDS
chain() {
  openssl verify -attime "$3" -no-CApath -no-CAstore -CAfile "$tmp/trust.$1.anchors" -untrusted "$tmp/trust.$1.intermediates" \
    -check_ss_sig "$2" >/dev/null 2>&1
}
# facts DER-FILE NAME: the certificate as $tmp/NAME.pem, its key as $tmp/NAME.key, and $tmp/NAME.facts; read once each
facts() {
  {
    printf '%s\n' '-----BEGIN CERTIFICATE-----'
    openssl base64 -in "$1"
    printf '%s\n' '-----END CERTIFICATE-----'
  } >"$tmp/$2.pem"
  known=$tmp/known.$(shaurl "$1")
  [ -f "$known" ] || openssl x509 -in "$tmp/$2.pem" -noout -pubkey -serial -issuer_hash -ext subjectAltName >"$known" 2>/dev/null || {
    grep -q '^-----END PUBLIC KEY' "$known" || return 1
  }
  cp "$known" "$tmp/$2.facts"
  sed -n '/^-----BEGIN/,/^-----END/p' "$known" >"$tmp/$2.key"
}
# The issuer of a certificate among the trusted ones, to $tmp/issuer.pem. issuer VERSION CERTIFICATE-PEM
issuer() {
  if [ -f "$tmp/issuer.$1.pem" ] && issued "$tmp/issuer.$1.pem" "$2"; then
    cp "$tmp/issuer.$1.pem" "$tmp/issuer.pem"
    return 0
  fi
  cat "$tmp/trust.$1.intermediates" "$tmp/trust.$1.anchors" | awk -v to="$tmp/candidate." '
    /^-----BEGIN/ { n++ } { print >(to n) } /^-----END/ { close(to n) } END { print n }' >"$tmp/candidates"
  n=0
  while [ "$n" -lt "$(cat "$tmp/candidates")" ]; do
    n=$((n + 1))
    issued "$tmp/candidate.$n" "$2" || continue
    cp "$tmp/candidate.$n" "$tmp/issuer.pem"
    cp "$tmp/candidate.$n" "$tmp/issuer.$1.pem"
    return 0
  done
  return 1
}
issued() { openssl verify -partial_chain -no-CApath -no-CAstore -no_check_time -trusted "$1" "$2" >/dev/null 2>&1; }
# An answer or a list counts so long after its next update.
grace=86400
# status MESSAGE VERSION SECONDS: the OCSP answer that the entry names, or else the list of the issuer
status() {
  answer=$1/certificate-status.der
  named=$(at "$tmp/$1.entry.flat" ocsp)
  if [ "$named" != null ] && [ ! -f "$answer" ]; then miss CERTIFICATE_STATUS_MISSING "the answer that the entry names" && return; fi
  if [ -f "$answer" ] && [ "$(shaurl "$answer")" != "$named" ]; then fail CERTIFICATE_STATUS_WRONG "the entry names another answer"; fi
  issuer "$2" "$tmp/$1.pem" || fail CERTIFICATE_INVALID 'no issuer'
  if [ -f "$answer" ]; then
    ocsp "$answer" "$2" "$1" "$3"
    return
  fi
  # The newest list that the issuer signed decides.
  newest=-1 listed='' until=0 n=0
  serial=$(sed -n 's/^serial=0*//p' "$tmp/$1.facts") by=$(grep -Ex '[0-9a-f]{8}' "$tmp/$1.facts")
  while [ "$n" -lt "$(cat "$tmp/trust.$2.crls")" ]; do
    list=$tmp/trust.$2.crl.$n
    n=$((n + 1))
    openssl crl -in "$list" -noout -hash -lastupdate -nextupdate -text -CAfile "$tmp/issuer.pem" >"$tmp/crl" 2>"$tmp/crl.err"
    grep -Eqx -e "(issuer name hash=)?$by" "$tmp/crl" && grep -q '^verify OK$' "$tmp/crl.err" || continue
    begins=$(epoch "$(sed -n 's/^lastUpdate=//p' "$tmp/crl")")
    [ "$begins" -gt "$newest" ] || continue
    newest=$begins
    until=$(epoch "$(sed -n 's/^nextUpdate=//p' "$tmp/crl")")
    listed=$(sed -n 's/^ *Serial Number: 0*//p' "$tmp/crl" | grep -x -e "$serial")
  done
  if [ -n "$listed" ]; then fail CERTIFICATE_REVOKED 'it is on the list of its authority'; fi
  if [ "$newest" -lt 0 ]; then miss CERTIFICATE_STATUS_MISSING 'no list'
  elif [ "$3" -gt $((until + grace)) ]; then miss CERTIFICATE_STATUS_MISSING 'the list is too old'
  else ok 'not on the list of its authority'; fi
}
# ocsp ANSWER VERSION MESSAGE SECONDS: openssl ends with 0 for revoked answers and does not compare the times: we do
ocsp() {
  # The certificate is named by hashes, which responders make with one of two functions.
  for digest in -sha256 -sha1; do
    openssl ocsp -respin "$1" -issuer "$tmp/issuer.pem" "$digest" -cert "$tmp/$3.pem" -CAfile "$tmp/trust.$2.anchors" -no-CApath \
      -no-CAstore -verify_other "$tmp/trust.$2.intermediates" -attime "$4" -no_nonce >"$tmp/ocsp" 2>"$tmp/ocsp.err" </dev/null
    grep -q 'No Status found' "$tmp/ocsp" || break
  done
  grep -q '^Response verify OK' "$tmp/ocsp.err" || fail CERTIFICATE_STATUS_WRONG 'its signature'
  case $(sed -n 's/^[^:]*: \([a-z]*\)$/\1/p' "$tmp/ocsp" | sed -n 1p) in
    good) ;;
    revoked) fail CERTIFICATE_REVOKED 'its authority said so' ;;
    *) fail CERTIFICATE_STATUS_WRONG unknown ;;
  esac
  begins=$(epoch "$(sed -n 's/^.*This Update: //p' "$tmp/ocsp")")
  ends=$(sed -n 's/^.*Next Update: //p' "$tmp/ocsp")
  fresh=$(at "$tmp/trust.$2" ocsp/freshnessMs) longer=$(at "$tmp/trust.$2" ocsp/graceMs)
  [ -n "$longer" ] && longer=$((longer / 1000)) || longer=$grace
  if [ -n "$ends" ]; then ends=$(epoch "$ends")
  elif [ -n "$fresh" ]; then ends=$((begins + fresh / 1000))
  else ends=$((begins + 300)); fi
  if [ -n "$fresh" ] && [ "$ends" -gt $((begins + fresh / 1000)) ]; then ends=$((begins + fresh / 1000)); fi
  [ "$begins" -le $(($4 + 300)) ] && [ "$4" -le $((ends + longer)) ] || fail CERTIFICATE_STATUS_WRONG 'its times'
  ok 'good, by its authority'
}
