#!/bin/sh
# Joined by scripts/join-verify.ts from the files in scripts/verify/; change those.
#
# sh verify.sh FOLDER --anchor DIR
#
# Checks an unpacked evidence pack (docs/evidence.md) with openssl 3 and the tools of POSIX, trusting nobody: neither of the
# two departments, nor the registry, nor the program that made the pack. Everything is derived from DIR/anchor.json, which
# must be the auditor's own copy and never one that came with the pack. Copy this file from a place that you trust, too.
#
# The numbered checks are those of `accord audit verify`, with the same verdict and code:
#   VALID, COMMITMENT-ONLY   exit 0     what it claims is proven; of the second, contents were lawfully destroyed
#   INCOMPLETE(CODE)         exit 5     what is there is right, and something is not there
#   INVALID(CODE)            exit 7     something is not what it claims to be: the pack proves nothing
#   wrong use                exit 2
# The first check that fails ends the run; what was not looked at is printed as NOT CHECKED. ML-DSA-44 cosignatures are
# looked at with openssl 3.5 or newer only; the Ed25519 ones beside them are what the quorum counts.
#
# Whoever made the pack controls every byte in FOLDER. So hashes and signatures are compared before anything is parsed,
# nothing from a file is ever run, and no text from a file reaches a pattern or an argument before its alphabet was checked.
set -u
set -f
LC_ALL=C
OPENSSL_CONF=/dev/null
export LC_ALL OPENSSL_CONF
umask 077

usage() {
  echo 'use: sh verify.sh FOLDER --anchor DIR' >&2
  exit 2
}
[ $# -eq 3 ] && [ "$2" = --anchor ] || usage
[ -d "$1" ] && [ -f "$3/anchor.json" ] || usage
pack=$(cd "$1" && pwd) && anchor=$(cd "$3" && pwd) || usage
case $(openssl version 2>/dev/null) in
  'OpenSSL 3'* | 'OpenSSL '[4-9]*) ;;
  *) echo 'openssl 3 is needed' >&2; exit 2 ;;
esac
tmp=${TMPDIR:-/tmp}/accord-verify.$$
mkdir "$tmp" || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM
cd "$pack" || exit 2

# verdict --------------------------------------------------------------------------------------------------------------
# The numbered checks of docs/evidence.md in their order; how each is printed, and how the run ends.

names='files|roots|configuration|configuration parts|seal
request: statement|request: signature|request: certificate|request: entry|request: certificate status|request: context|request: body
answer: statement|answer: signature|answer: certificate|answer: entry|answer: certificate status|answer: context|answer: body
request: in the log|answer: in the log|checkpoint|aggregate log|witnesses|time-stamp|not before
destruction: certificate|destruction: two persons|destruction: order|destruction: in the log
destruction: checkpoint|destruction: aggregate log|destruction: witnesses|destruction: time-stamp'
printf '%s\n' "$names" | tr '|' '\n' >"$tmp/names"
: >"$tmp/done"
: >"$tmp/hashes"
missing=
destroyed=
name=

check() { name=$1; }

# line STATE CODE DETAIL
line() {
  number=0
  while read -r one; do
    number=$((number + 1))
    [ "$one" != "$name" ] || break
  done <"$tmp/names"
  printf '%s\n' "$number" >>"$tmp/done"
  printf '%2d  %-11s  %s%s%s\n' "$number" "$1" "$name" "${2:+ $2}" "${3:+ ($3)}"
}
ok() { line ok '' "${1:-}"; }
miss() {
  line MISSING "$1" "${2:-}"
  [ -n "$missing" ] || missing=$1
}
gone() {
  line DESTROYED '' "${1:-}"
  destroyed=yes
}
fail() {
  line FAILED "$1" "${2:-}"
  finish "INVALID($1)" 7
}
# What no check reached, and the verdict.
finish() {
  awk -v done="$tmp/done" 'BEGIN { while ((getline n < done) > 0) seen[n] = 1 }
    !(NR in seen) { printf "%2d  NOT CHECKED  %s\n", NR, $0 }' "$tmp/names"
  echo "$1"
  exit "$2"
}
conclude() {
  [ -z "$missing" ] || finish "INCOMPLETE($missing)" 5
  [ -z "$destroyed" ] || finish COMMITMENT-ONLY 0
  finish VALID 0
}

# texts ----------------------------------------------------------------------------------------------------------------
# Hashes, encodings in their one spelling, JSON as lines of path and value, times. Nothing is believed here yet.

# SHA-256 of a file in hexadecimal, and in base64url; of a file of the pack from the manifest, once that was compared
shahex() {
  shahex_line=$(openssl dgst -sha256 -r "$1")
  printf '%s\n' "${shahex_line%% *}"
}
shaurl() {
  while read -r shaurl_name shaurl_hash; do
    [ "$shaurl_name" = "$1" ] || continue
    printf '%s\n' "$shaurl_hash"
    return
  done <"$tmp/hashes"
  openssl dgst -sha256 -binary "$1" | openssl base64 -A | tr '+/' '-_' | tr -d =
}
hex() { printf '%s' $(od -An -v -tx1 "$1"); }
# Bytes of a hexadecimal text
unhex() {
  printf "$(printf '%s\n' "$1" | awk '{ for (i = 1; i < length($0); i += 2)
    printf "\\%03o", (index("0123456789abcdef", substr($0, i, 1)) - 1) * 16 + index("0123456789abcdef", substr($0, i + 1, 1)) - 1 }')"
}
# Base64 and base64url in their one spelling, from a text to a file; fails for any other spelling: spare bits are zero
unbase64() {
  case $1 in
    *==) bare=${1%==} ;;
    *=) bare=${1%=} ;;
    *) bare=$1 ;;
  esac
  case $bare in *[!A-Za-z0-9+/]*) return 1 ;; esac
  case $((${#1} % 4))/${#bare}/$bare in
    0/*/*) [ $((${#bare} % 4)) -ne 1 ] && spare "$bare" || return 1 ;;
    *) return 1 ;;
  esac
  printf '%s' "$1" | openssl base64 -d -A >"$2" 2>/dev/null
}
unurl() {
  case $1 in *[!A-Za-z0-9_-]*) return 1 ;; esac
  spare "$1" || return 1
  case $((${#1} % 4)) in
    0) pad= ;;
    2) pad='==' ;;
    3) pad='=' ;;
    *) return 1 ;;
  esac
  case $1 in
    *[_-]*) printf '%s%s' "$1" "$pad" | tr -- '-_' '+/' | openssl base64 -d -A >"$2" 2>/dev/null ;;
    *) printf '%s%s' "$1" "$pad" | openssl base64 -d -A >"$2" 2>/dev/null ;;
  esac
}
spare() {
  case $((${#1} % 4))/$1 in
    2/*[AQgw] | 3/*[AEIMQUYcgkosw048] | 0/*) ;;
    *) return 1 ;;
  esac
}
# Only printable ASCII and line feeds, and a line feed at the end
plain() { [ "$(tr -d '\012\040-\176' <"$1" | wc -c)" -eq 0 ] && [ -z "$(tail -c 1 "$1")" ]; }
# Only printable ASCII in one line, without a line feed
oneline() { [ "$(tr -d '\040-\176' <"$1" | wc -c)" -eq 0 ] && [ -s "$1" ]; }
size() { echo $(($(wc -c <"$1"))); }
# The texts of a strict JSON document, one a line: path, tab, value. Escapes stay as they are written.
flat() {
  awk 'BEGIN { RS = "\""; depth = 0; word = ""; text = 0; joined = "" }
    function path(i, p) { p = ""; for (i = 1; i <= depth; i++) p = p (i > 1 ? "/" : "") (kind[i] == "o" ? key[i] : place[i]); return p }
    function say(v) { print path() "\t" v }
    {
      if (text) {
        joined = joined $0
        slashes = 0
        for (i = length(joined); i > 0 && substr(joined, i, 1) == "\\"; i--) slashes++
        if (slashes % 2) { joined = joined "\""; next }
        if (depth > 0 && kind[depth] == "o" && wants[depth]) { key[depth] = joined; wants[depth] = 0 } else say(joined)
        joined = ""
        text = 0
        next
      }
      for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        if (c == "{") { depth++; kind[depth] = "o"; wants[depth] = 1; key[depth] = "" }
        else if (c == "[") { depth++; kind[depth] = "a"; place[depth] = 0 }
        else if (c == "}" || c == "]" || c == ",") {
          if (word != "") say(word)
          word = ""
          if (c != ",") depth--
          else if (kind[depth] == "o") wants[depth] = 1
          else place[depth]++
        } else if (c != ":" && c != "\n" && c != " ") word = word c
      }
      text = 1
    }' "$1"
}
# The value at a path of a flattened document; empty when there is none
at() {
  while IFS="$tab" read -r at_path at_value; do
    [ "$at_path" = "$2" ] || continue
    printf '%s\n' "$at_value"
    return
  done <"$1"
}
tab=$(printf '\t')
# Lines of the first file that are in the second, and that are not
both() { awk -v other="$2" 'BEGIN { while ((getline one < other) > 0) seen[one] = 1 } $0 in seen' "$1"; }
lacking() { awk -v other="$2" 'BEGIN { while ((getline one < other) > 0) seen[one] = 1 } !($0 in seen)' "$1"; }
# Values below a path
below() { awk -F '\t' -v p="$2/" 'index($1, p) == 1 { print substr($0, length($1) + 2) }' "$1"; }
# Seconds since 1970 of "Nov 23 05:00:00.25 2026 GMT" (openssl), rounded down
epoch() {
  printf '%s\n' "$1" | awk '{ m = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $1) + 2) / 3; d = $2; split($3, t, ":"); y = $4
    split(t[3], s, "."); if (m <= 2) { y--; m += 12 }
    n = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d - 719469
    printf "%d\n", n * 86400 + t[1] * 3600 + t[2] * 60 + s[1] }'
}
now=$(epoch "$(TZ=UTC0 date '+%b %d %H:%M:%S %Y') GMT")

# signatures -----------------------------------------------------------------------------------------------------------
# Keys and JWS: ES256 with low s (RFC 7518), EdDSA (RFC 8037), RFC 7638 thumbprints; files that several persons signed, and
# whether they are as many as a root demands.

# PEM of a base64url DER, on standard output
pem() {
  printf '%s\n' "-----BEGIN $1-----"
  printf '%s' "$2" | tr -- '-_' '+/' | awk '{ n = length($0) % 4; print $0 (n == 2 ? "==" : n == 3 ? "=" : "") }' | fold -w 64
  printf '%s\n' "-----END $1-----"
}
pem_of_hex() {
  unhex "$1" >"$tmp/key.der"
  printf '%s\n' '-----BEGIN PUBLIC KEY-----'
  openssl base64 -in "$tmp/key.der"
  printf '%s\n' '-----END PUBLIC KEY-----'
}
# A raw Ed25519 key (hexadecimal) as PEM
ed25519() { pem_of_hex "302a300506032b6570032100$1"; }
# A JWK below a path of a flattened document as PEM; its RFC 7638 thumbprint goes to $tmp/thumbprint
jwk() {
  kty=$(at "$1" "$2/kty") crv=$(at "$1" "$2/crv") x=$(at "$1" "$2/x") y=$(at "$1" "$2/y")
  unurl "$x" "$tmp/x" && [ "$(size "$tmp/x")" -eq 32 ] || return 1
  case $kty/$crv in
    EC/P-256)
      unurl "$y" "$tmp/y" && [ "$(size "$tmp/y")" -eq 32 ] || return 1
      printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" >"$tmp/thumb"
      pem_of_hex "3059301306072a8648ce3d020106082a8648ce3d03010703420004$(hex "$tmp/x")$(hex "$tmp/y")"
      ;;
    OKP/Ed25519)
      printf '{"crv":"Ed25519","kty":"OKP","x":"%s"}' "$x" >"$tmp/thumb"
      ed25519 "$(hex "$tmp/x")"
      ;;
    *) return 1 ;;
  esac
  shaurl "$tmp/thumb" >"$tmp/thumbprint"
}
# jws ALG PUBLIC-KEY-PEM SIGNING-INPUT-FILE SIGNATURE(base64url): ES256 with low s (RFC 7518), or EdDSA (RFC 8037)
jws() {
  unurl "$4" "$tmp/raw" && [ "$(size "$tmp/raw")" -eq 64 ] || return 1
  case $1 in
    ES256)
      der=$(hex "$tmp/raw" | awk '
        function integer(d) { sub(/^(00)+/, "", d); if (d == "") d = "00"; if (d ~ /^[89a-f]/) d = "00" d
          return sprintf("02%02x%s", length(d) / 2, d) }
        { r = substr($0, 1, 64); s = substr($0, 65)
          half = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"
          order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
          if ("x" s > "x" half || "x" r >= "x" order || r ~ /^0*$/ || s ~ /^0*$/) exit
          body = integer(r) integer(s); printf "30%02x%s", length(body) / 2, body }')
      [ -n "$der" ] || return 1
      unhex "$der" >"$tmp/sig.der"
      openssl dgst -sha256 -verify "$2" -signature "$tmp/sig.der" "$3" >/dev/null 2>&1
      ;;
    EdDSA) openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$3" -sigfile "$tmp/raw" >/dev/null 2>&1 ;;
    *) return 1 ;;
  esac
}
# A compact JWS in a file: header and payload to $tmp/header, $tmp/payload, flattened header to $tmp/header.flat;
# $head64, $payload64, $sig64. Fails for another form, and for another typ or other header members than listed.
compact() {
  oneline "$1" || return 1
  jws_text=$(cat "$1")
  case $jws_text in
    *.*.*.* | *[!A-Za-z0-9._-]*) return 1 ;;
    *.*.*) ;;
    *) return 1 ;;
  esac
  head64=${jws_text%%.*} sig64=${jws_text##*.} payload64=${jws_text#*.}
  payload64=${payload64%.*}
  header "$2" "$3" && unurl "$payload64" "$tmp/payload"
}
# header TYP MEMBERS: of $head64
header() {
  unurl "$head64" "$tmp/header" && flat "$tmp/header" >"$tmp/header.flat" || return 1
  [ "$(at "$tmp/header.flat" typ)" = "$1" ] || return 1
  for member in $2; do [ -n "$(at "$tmp/header.flat" "$member")" ] || return 1; done
  set -- "$@" $2
  [ "$(wc -l <"$tmp/header.flat")" -eq $(($# - 2)) ] || return 1
  alg=$(at "$tmp/header.flat" alg)
}

# A file of several signatures (JWS general serialisation in one form): payload to $tmp/payload, flattened to
# $tmp/payload.flat, and every signature verified with the key that ROOT (a flattened root) lists for its kid in one of
# the ROLES; the kids to $tmp/kids. signed FILE TYP ROOT-FLAT ROLE [ROOT-FLAT ROLE]
signed() {
  plain "$1" && [ "$(wc -l <"$1" | tr -d ' ')" -eq 1 ] || return 1
  grep -Eq '^\{"payload":"[A-Za-z0-9_-]+","signatures":\[(\{"protected":"[A-Za-z0-9_-]+","signature":"[A-Za-z0-9_-]+"\},?)+\]\}$' "$1" || return 1
  flat "$1" >"$tmp/signed.flat"
  payload64=$(at "$tmp/signed.flat" payload)
  unurl "$payload64" "$tmp/payload" && flat "$tmp/payload" >"$tmp/payload.flat" || return 1
  grep -c '/protected	' "$tmp/signed.flat" >"$tmp/count"
  : >"$tmp/kids"
  i=0
  while [ "$i" -lt "$(cat "$tmp/count")" ]; do
    head64=$(at "$tmp/signed.flat" "signatures/$i/protected") sig64=$(at "$tmp/signed.flat" "signatures/$i/signature")
    header "$2" 'alg kid typ' || return 1
    kid=$(at "$tmp/header.flat" kid)
    case $kid in '' | *[!A-Za-z0-9_-]*) return 1 ;; esac
    if below "$3" "roles/$4/kids" | grep -qx -e "$kid"; then holder=$3
    elif [ $# -gt 4 ] && below "$5" "roles/$6/kids" | grep -qx -e "$kid"; then holder=$5
    else return 1; fi
    jwk "$holder" "keys/$kid/jwk" >"$tmp/kid.pem" && [ "$(cat "$tmp/thumbprint")" = "$kid" ] || return 1
    printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
    jws "$alg" "$tmp/kid.pem" "$tmp/input" "$sig64" || return 1
    printf '%s\n' "$kid" >>"$tmp/kids"
    i=$((i + 1))
  done
  sort -c -u "$tmp/kids" 2>/dev/null
}
# threshold ROOT-FLAT ROLE: enough kids, and enough different persons, among $tmp/kids
threshold() {
  needed=$(at "$1" "roles/$2/threshold")
  below "$1" "roles/$2/kids" | sort -u >"$tmp/role"
  both "$tmp/role" "$tmp/kids" >"$tmp/counted"
  while read -r kid; do at "$1" "keys/$kid/person" | tr 'A-Z' 'a-z' | sed 's/^ *//; s/ *$//'; done <"$tmp/counted" | sort -u >"$tmp/persons"
  [ "$(wc -l <"$tmp/counted")" -ge "$needed" ] && [ "$(wc -l <"$tmp/persons")" -ge "$needed" ]
}

# certificates ---------------------------------------------------------------------------------------------------------
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

# notes ----------------------------------------------------------------------------------------------------------------
# Inclusion in a tree (RFC 9162 section 2.1.3.2); signed checkpoints, verifier keys and cosignatures as C2SP writes them
# (tlog-checkpoint, signed-note, tlog-cosignature).

# node LEFT RIGHT: SHA-256(0x01 ‖ left ‖ right), all hexadecimal
node() {
  node_hash=$(unhex "01$1$2" | openssl dgst -sha256 -r)
  printf '%s\n' "${node_hash%% *}"
}
# Lines of base64 as lines of hexadecimal
tohex() {
  awk 'BEGIN { abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; split("2 4 8 16 32 64", two, " ") }
    { out = ""; bits = 0; value = 0
      for (i = 1; i <= length($0); i++) { c = index(abc, substr($0, i, 1)); if (c == 0) break
        value = value * 64 + c - 1; bits += 6
        if (bits >= 8) { bits -= 8; d = bits ? two[bits] : 1; out = out sprintf("%02x", int(value / d)); value = value % d } }
      print out }' "$1"
}
# Lines of 32 bytes in base64 each, in their one spelling
hashes() {
  [ ! -s "$1" ] && return 0
  plain "$1" && [ "$(wc -l <"$1")" -le 64 ] && ! grep -Evq '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$' "$1"
}
# included LEAF INDEX SIZE PATH-FILE ROOT: RFC 9162 section 2.1.3.2; the leaf's hash and the root are hexadecimal
included() {
  tohex "$4" >"$tmp/path.hex"
  fn=$2 sn=$(($3 - 1)) hash=$1
  [ "$fn" -le "$sn" ] || return 1
  while read -r sibling; do
    [ "$sn" -gt 0 ] || return 1
    if [ $((fn % 2)) -eq 1 ] || [ "$fn" -eq "$sn" ]; then
      hash=$(node "$sibling" "$hash")
      while [ $((fn % 2)) -eq 0 ] && [ "$fn" -ne 0 ]; do fn=$((fn / 2)) sn=$((sn / 2)); done
    else
      hash=$(node "$hash" "$sibling")
    fi
    fn=$((fn / 2)) sn=$((sn / 2))
  done <"$tmp/path.hex"
  [ "$sn" -eq 0 ] && [ "$hash" = "$5" ]
}
# A signed checkpoint (C2SP tlog-checkpoint): text to $tmp/$2.text, signature lines as "NAME BASE64" to $tmp/$2.lines;
# $origin, $tree, $root
note() {
  [ "$(size "$1")" -le 65536 ] && [ "$(tr -d '\012\040-\176\342\200\224' <"$1" | wc -c)" -eq 0 ] && [ -z "$(tail -c 1 "$1")" ] || return 1
  sed 4q "$1" | sed 3q >"$tmp/$2.text"
  [ "$(sed -n 4p "$1" | wc -c)" -eq 1 ] || return 1
  origin=$(sed -n 1p "$1") tree=$(sed -n 2p "$1") root=$(sed -n 3p "$1")
  case $origin in '' | *[!\ -~]*) return 1 ;; esac
  printf '%s\n' "$tree" | grep -Eqx '0|[1-9][0-9]{0,14}' || return 1
  printf '%s\n' "$root" >"$tmp/root64" && hashes "$tmp/root64" || return 1
  root=$(tohex "$tmp/root64")
  sed 1,4d "$1" >"$tmp/$2.signed"
  [ -s "$tmp/$2.signed" ] || return 1
  dash=$(printf '\342\200\224')
  [ "$(grep -Ec "^$dash [!-*,-~]+ [A-Za-z0-9+/]+=*\$" "$tmp/$2.signed")" -eq "$(wc -l <"$tmp/$2.signed")" ] || return 1
  sed "s/^$dash //" "$tmp/$2.signed" >"$tmp/$2.lines"
}
# keyid NAME TYPE(hex) KEY(hex): the first four bytes of SHA-256(name ‖ line feed ‖ type ‖ key), hexadecimal
keyid() {
  { printf '%s\n' "$1"; unhex "$2$3"; } >"$tmp/named"
  openssl dgst -sha256 -r "$tmp/named" | cut -c 1-8
}
# signedfirst NOTE NAME KEY(hex): the first line, and no other, is a good Ed25519 signature of this key over the text
signedfirst() {
  id=$(keyid "$2" 01 "$3")
  count=0 first=
  while read -r by encoded; do
    count=$((count + 1))
    unbase64 "$encoded" "$tmp/line" || return 1
    [ "$by" = "$2" ] && [ "$(hex "$tmp/line" | cut -c 1-8)" = "$id" ] || continue
    [ "$count" -eq 1 ] || return 1
    tail -c +5 "$tmp/line" >"$tmp/sig"
    [ "$(size "$tmp/sig")" -eq 64 ] || return 1
    ed25519 "$3" >"$tmp/note.pem"
    openssl pkeyutl -verify -pubin -inkey "$tmp/note.pem" -rawin -in "$tmp/$1.text" -sigfile "$tmp/sig" >/dev/null 2>&1 || return 1
    first=yes
  done <"$tmp/$1.lines"
  [ -n "$first" ]
}
# A C2SP verifier key NAME+ID+KEY: $key_name, $key_id, $key_type and $key_hex
verifier() {
  key_name=${1%%+*} rest=${1#*+}
  key_id=${rest%%+*}
  unbase64 "${rest#*+}" "$tmp/typed" || return 1
  typed=$(hex "$tmp/typed")
  key_type=$(printf '%s' "$typed" | cut -c 1-2) key_hex=$(printf '%s' "$typed" | cut -c 3-)
}
# cosigned NOTE KEYS-FILE: every line behind the first is a good cosignature of a key in KEYS-FILE (one verifier key a
# line), each key once; the names with a good Ed25519 one go to $tmp/cosigners. Fails when one is wrong or unknown.
cosigned() {
  : >"$tmp/cosigners"
  : >"$tmp/used"
  sed 1d "$tmp/$1.lines" >"$tmp/cosignatures"
  while read -r by encoded; do
    unbase64 "$encoded" "$tmp/line" || return 1
    line_hex=$(hex "$tmp/line")
    id=$(printf '%s' "$line_hex" | cut -c 1-8)
    found=
    while read -r vkey; do
      verifier "$vkey" || return 1
      [ "$key_name" = "$by" ] && [ "$key_id" = "$id" ] || continue
      found=yes
      break
    done <"$2"
    [ -n "$found" ] && ! grep -qx -e "$by $id" "$tmp/used" || return 1
    printf '%s\n' "$by $id" >>"$tmp/used"
    stamp=$(printf '%s' "$line_hex" | cut -c 9-24)
    printf '%s\n' "$stamp" | grep -Eqx '0000[0-9a-f]{12}' || return 1
    seconds=$((0x$stamp))
    tail -c +13 "$tmp/line" >"$tmp/sig"
    case $key_type in
      04)
        [ "$(size "$tmp/sig")" -eq 64 ] || return 1
        { printf 'cosignature/v1\ntime %s\n' "$seconds"; cat "$tmp/$1.text"; } >"$tmp/message"
        ed25519 "$key_hex" >"$tmp/note.pem"
        openssl pkeyutl -verify -pubin -inkey "$tmp/note.pem" -rawin -in "$tmp/message" -sigfile "$tmp/sig" >/dev/null 2>&1 || return 1
        printf '%s\n' "$by" >>"$tmp/cosigners"
        ;;
      06)
        [ "$(size "$tmp/sig")" -eq 2420 ] || return 1
        pem_of_hex "30820532300b06096086480165030403110382052100$key_hex" >"$tmp/note.pem"
        if openssl pkey -pubin -in "$tmp/note.pem" -noout 2>/dev/null; then
          over=$(sed -n 1p "$tmp/$1.text")
          {
            printf 'subtree/v1\n\000'
            unhex "$(printf '%02x' "${#by}")"
            printf '%s' "$by"
            unhex "$stamp$(printf '%02x' "${#over}")"
            printf '%s' "$over"
            unhex "0000000000000000$(printf '%016x' "$(sed -n 2p "$tmp/$1.text")")"
            sed -n 3p "$tmp/$1.text" | tr -d '\n' | openssl base64 -d -A
          } >"$tmp/message"
          openssl pkeyutl -verify -pubin -inkey "$tmp/note.pem" -rawin -in "$tmp/message" -sigfile "$tmp/sig" >/dev/null 2>&1 || return 1
        else
          echo "    NOT CHECKED  the ML-DSA-44 cosignature of $by (it needs openssl 3.5)"
        fi
        ;;
      *) return 1 ;;
    esac
  done <"$tmp/cosignatures"
}

# configuration --------------------------------------------------------------------------------------------------------
# Checks 1 to 5: the files are those of the manifest; roots follow from the anchor, contents from the roots, parts from the
# contents; the server whose pack it is sealed it.

allowed='(pack|(request|answer)/(statement|signature|place|certificate\.der|context|context\.salt|body|body\.salt|entry|inclusion|certificate-status\.der)'
allowed="$allowed|(destruction/)?log/(checkpoint|aggregate|aggregate\.place|token\.(aggregate|checkpoint)\.[1-8]\.der)"
allowed="$allowed|before/(entry|inclusion|note)"
allowed="$allowed|destruction/(request|answer)/(certificate\.jws|certificate\.der|(intended|done)/(entry|inclusion|note))"
allowed="$allowed|configuration/root\.[1-9][0-9]{0,8}\.jws"
allowed="$allowed|configuration/[1-9][0-9]{0,14}/(content\.jws|parts/(members\.[0-9a-f]{2}|trust|witnesses|time-stamps)))"

check files
[ -z "$(find . ! -type f ! -type d)" ] || fail PACK_MALFORMED 'something is no regular file'
[ -f manifest ] && [ -s manifest ] && plain manifest || fail PACK_MALFORMED manifest
if grep -Evq "^[0-9a-f]{64}  $allowed\$" manifest; then fail PACK_MALFORMED manifest; fi
cut -c 67- manifest >"$tmp/listed"
sort -c -u "$tmp/listed" 2>/dev/null || fail PACK_MALFORMED manifest
find . -type f | sed 's,^\./,,' | grep -Evx 'manifest|seal\.jws|seal\.der' | sort >"$tmp/found"
[ -z "$(lacking "$tmp/found" "$tmp/listed")" ] || fail PACK_FILE_UNKNOWN
absent=$(lacking "$tmp/listed" "$tmp/found" | sed -n 1p)
[ -z "$absent" ] || fail PACK_FILE_MISSING "$absent"
openssl dgst -sha256 -r $(cat "$tmp/listed") | sed 's/ \*/  /' >"$tmp/hashed"
if ! cmp -s manifest "$tmp/hashed"; then
  fail PACK_FILE_CHANGED "$(lacking manifest "$tmp/hashed" | cut -c 67- | sed -n 1p)"
fi
[ -f pack ] || fail PACK_FILE_MISSING pack
cut -c 1-64 manifest | awk '
  BEGIN { abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; split("2 4 8 16 32 64", two, " ") }
  { out = ""; bits = 0; value = 0
    for (i = 1; i <= 64; i++) { value = value * 16 + index("0123456789abcdef", substr($0, i, 1)) - 1; bits += 4
      if (bits >= 6) { bits -= 6; d = bits ? two[bits] : 1; out = out substr(abc, int(value / d) + 1, 1); value = value % d } }
    print out substr(abc, value * two[6 - bits] + 1, 1) }' | paste -d ' ' "$tmp/listed" - >"$tmp/hashes"
# Lengths are compared apart from the patterns, which would be slow with them.
segment='[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?'
server_id="$segment/$segment/$segment/$segment"
message_id='[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'
plain pack && [ "$(wc -l <pack)" -ge 7 ] && [ "$(wc -l <pack)" -le 8 ] || fail PACK_MALFORMED pack
n=0
for wanted in 'accord-evidence/1' "exchange $message_id" "server $server_id" 'side (consumer|provider)' \
  'configuration of the request [1-9][0-9]{0,14}' 'configuration of the answer [1-9][0-9]{0,14}' \
  'configuration of the anchoring (0|[1-9][0-9]{0,14})'; do
  n=$((n + 1))
  sed -n "${n}p" pack | grep -Eqx "$wanted" || fail PACK_MALFORMED pack
done
if sed 1,7d pack | grep -Evqx 'configuration of the destruction [1-9][0-9]{0,14}'; then fail PACK_MALFORMED pack; fi
exchange=$(sed -n '2s/^exchange //p' pack) server=$(sed -n '3s/^server //p' pack) side=$(sed -n '4s/^side //p' pack)
of_request=$(sed -n '5s/.* //p' pack) of_answer=$(sed -n '6s/.* //p' pack) of_anchoring=$(sed -n '7s/.* //p' pack)
of_destruction=$(sed -n '8s/.* //p' pack)
ok

check roots
flat "$anchor/anchor.json" >"$tmp/anchor"
instance=$(at "$tmp/anchor" instance) first_root=$(at "$tmp/anchor" root/version) root_hash=$(at "$tmp/anchor" root/hash)
sed -n 's,^configuration/root\.\([0-9]*\)\.jws$,\1,p' "$tmp/found" | sort -n >"$tmp/roots"
next=
while read -r n; do
  [ -z "$next" ] || [ "$n" -eq "$next" ] || fail ROOT_NOT_ANCHORED 'a root of the chain is missing'
  next=$((n + 1))
done <"$tmp/roots"
roots=
if ! grep -qx -e "$first_root" "$tmp/roots"; then
  miss ROOT_MISSING "root $first_root"
else
  before=
  while read -r n; do
    # Roots before the anchored one prove nothing, and are not believed.
    [ "$n" -ge "$first_root" ] || continue
    file=configuration/root.$n.jws
    hash=$(shaurl "$file")
    if [ -z "$before" ]; then
      [ "$hash" = "$root_hash" ] || fail ROOT_NOT_ANCHORED "root $n"
      sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
      unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/root.$n" || fail ROOT_NOT_ANCHORED "root $n"
      signed "$file" accord-root+jws "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
    else
      sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
      unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/root.$n" || fail ROOT_NOT_ANCHORED "root $n"
      signed "$file" accord-root+jws "$tmp/root.$before" root "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
      threshold "$tmp/root.$before" root || fail ROOT_NOT_ANCHORED "root $n"
      [ "$(at "$tmp/root.$n" previousHash)" = "$before_hash" ] || fail ROOT_NOT_ANCHORED "root $n"
    fi
    threshold "$tmp/root.$n" root || fail ROOT_NOT_ANCHORED "root $n"
    [ "$(at "$tmp/root.$n" instance)" = "$instance" ] && [ "$(at "$tmp/root.$n" version)" = "$n" ] || fail ROOT_NOT_ANCHORED "root $n"
    before=$n before_hash=$hash
    printf '%s\n' "$hash" >"$tmp/root.$n.hash"
  done <"$tmp/roots"
  roots=yes
  ok
fi
[ -n "$roots" ] || conclude

check configuration
printf '%s\n' "$of_request" "$of_answer" "$of_anchoring" "${of_destruction:-0}" | grep -vx 0 | sort -n -u >"$tmp/versions"
configured=yes
while read -r v; do
  file=configuration/$v/content.jws
  if [ ! -f "$file" ]; then
    miss CONFIGURATION_MISSING "content $v"
    configured=
    break
  fi
  sed 's/^{"payload":"\([A-Za-z0-9_-]*\)".*$/\1/' "$file" | tr -d '\n' >"$tmp/payload64"
  unurl "$(cat "$tmp/payload64")" "$tmp/payload" && flat "$tmp/payload" >"$tmp/content.$v" || fail CONFIGURATION_WRONG "content $v"
  cited=$(at "$tmp/content.$v" root/version)
  printf '%s\n' "$cited" | grep -Eqx '[1-9][0-9]{0,14}' || fail CONFIGURATION_WRONG "content $v"
  if [ ! -f "$tmp/root.$cited" ] && [ "$cited" -lt "$first_root" ]; then
    miss ROOT_MISSING "root $cited, older than the anchor"
    configured=
    break
  fi
  [ -f "$tmp/root.$cited" ] && [ "$(at "$tmp/content.$v" root/hash)" = "$(cat "$tmp/root.$cited.hash")" ] || fail CONFIGURATION_WRONG "content $v"
  signed "$file" accord-content+jws "$tmp/root.$cited" content && threshold "$tmp/root.$cited" content || fail CONFIGURATION_WRONG "content $v"
  issued=$(at "$tmp/content.$v" issuedAtMs) expires=$(at "$tmp/content.$v" expiresAtMs)
  [ "$(at "$tmp/content.$v" version)" = "$v" ] && [ "$(at "$tmp/content.$v" instance)" = "$instance" ] &&
    [ "$expires" -gt "$issued" ] && [ $((expires - issued)) -le 604800000 ] || fail CONFIGURATION_WRONG "content $v"
done <"$tmp/versions"
[ -n "$configured" ] || conclude
ok

check 'configuration parts'
# Which two servers: read before the statement is verified, only to know what is needed.
[ -f request/statement ] && oneline request/statement && cp request/statement "$tmp/unverified" || : >"$tmp/unverified"
ids='[A-Za-z0-9._/-]*' before='{"v":1,"id":"[^"]*","kind":"[a-z]*"'
from=$(sed -n "s|^$before,\"from\":\"\($ids\)\",\"to\":\"$ids\",.*\$|\1|p" "$tmp/unverified")
to=$(sed -n "s|^$before,\"from\":\"$ids\",\"to\":\"\($ids\)\",.*\$|\1|p" "$tmp/unverified")
printf '%s\n' "$from" | grep -Eqx "$server_id" && printf '%s\n' "$to" | grep -Eqx "$server_id" || from= to=
shard() { printf '%s' "${1%/*}" >"$tmp/member"; openssl dgst -sha256 -r "$tmp/member" | cut -c 1-2; }
for one in "$server" "${from:-$server}" "${to:-$server}"; do printf 'members.%s\n' "$(shard "$one")"; done | sort -u >"$tmp/shards"
for file in $(sed -n 's,^\(configuration/[0-9]*/.*\),\1,p' "$tmp/found"); do
  v=${file#configuration/}
  v=${v%%/*}
  [ -f "$tmp/content.$v" ] || fail PACK_FILE_UNKNOWN "$file"
  case $file in
    */parts/*)
      part=${file##*/}
      [ "$(shaurl "$file")" = "$(at "$tmp/content.$v" "parts/$(printf '%s' "$part" | sed 's,\.,/,')")" ] || fail CONFIGURATION_PART_CHANGED "$file"
      flat "$file" >"$tmp/$part.$v"
      ;;
  esac
done
configured=yes
while read -r v; do
  for part in $(cat "$tmp/shards") trust witnesses time-stamps; do
    [ ! -f "$tmp/$part.$v" ] || continue
    case $part in
      witnesses | time-stamps) [ -n "$(at "$tmp/content.$v" "parts/$part")" ] || continue ;;
    esac
    miss CONFIGURATION_MISSING "part $part of content $v"
    configured=
    break 2
  done
  trust "$v" "$tmp/trust.$v"
done <"$tmp/versions"
[ -n "$configured" ] || conclude
ok

# registered SERVER VERSION: the path of a server in its members part, and the part; fails when it is not registered
registered() {
  members=$tmp/members.$(shard "$1").$2
  [ -f "$members" ] || return 1
  awk -F '\t' -v member="${1%/*}" -v code="${1##*/}" '
    $1 ~ /^members\/[0-9]+\/id$/ && $2 == member { split($1, p, "/"); at[p[2]] = 1 }
    $1 ~ /^members\/[0-9]+\/servers\/[0-9]+\/code$/ && $2 == code { split($1, p, "/"); codes[p[2] "/servers/" p[4]] = p[2] }
    END { for (one in codes) if (codes[one] in at) print "members/" one }' "$members" >"$tmp/registered"
  [ "$(wc -l <"$tmp/registered")" -eq 1 ] && registered=$(cat "$tmp/registered")
}

check seal
[ -f seal.jws ] && [ -f seal.der ] || fail SEAL_WRONG 'there is no seal'
compact seal.jws accord-evidence+jws 'alg iat typ x5t#S256' || fail SEAL_WRONG
facts seal.der seal || fail SEAL_WRONG 'the certificate'
[ "$(shaurl seal.der)" = "$(at "$tmp/header.flat" 'x5t#S256')" ] || fail SEAL_WRONG 'another certificate'
tr ',' '\n' <"$tmp/seal.facts" | sed -n 's/^ *URI:accord:server://p' >"$tmp/holder"
[ "$(cat "$tmp/holder")" = "$server" ] || fail SEAL_WRONG 'the certificate is of another server'
cmp -s "$tmp/payload" manifest || fail SEAL_WRONG 'over another manifest'
printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
jws "$alg" "$tmp/seal.key" "$tmp/input" "$sig64" || fail SEAL_WRONG 'the signature does not verify'
iat=$(at "$tmp/header.flat" iat)
case $iat in '' | *[!0-9]*) fail SEAL_WRONG ;; esac
chain "$of_answer" "$tmp/seal.pem" "$iat" || fail CERTIFICATE_INVALID
ok

# messages -------------------------------------------------------------------------------------------------------------
# Checks 6 to 19: of the request and of its answer the statement, signature, certificate and its status, the log's entry, context
# and body, or the certificate that they were destroyed.

service_id="$server_id/$segment"
h43='[A-Za-z0-9_-]{43}'
count='(0|[1-9][0-9]{0,15})'
purpose='("[a-z0-9]([a-z0-9.-]*[a-z0-9])?"|null)'
statement_form="\\{\"v\":1,\"id\":\"$message_id\",\"kind\":\"(request|response|refusal|settlement)\",\"from\":\"$server_id\",\"to\":\"$server_id\",\"client\":\"$server_id\",\"service\":\"$service_id\",\"at\":$count,\"purpose\":$purpose,\"basis\":\"(open|law|consent|emergency)\",\"context\":\\{\"commitment\":\"$h43\"\\},\"body\":\\{\"commitment\":\"$h43\"\\},\"configuration\":\\{\"version\":[1-9][0-9]{0,15},\"hash\":\"$h43\"\\}"
answer_form=",\"request\":\"$h43\",\"log\":\\{\"origin\":\"[]-~ !#-[]+\",\"index\":$count\\},\"decisionHash\":(\"$h43\"|null)"
plain_text='("[]-~ !#-[]+"|null)'
hash_or_null="(\"$h43\"|null)"
entry_form="\\{\"seq\":$count,\"t\":$count,\"kind\":\"[a-z-]+\",\"id\":\"[]-~ !#-[]+\",\"peer\":$plain_text,\"client\":$plain_text,\"service\":$plain_text,\"purpose\":$plain_text,\"basis\":$plain_text,\"code\":$plain_text,\"decisionHash\":$hash_or_null,\"statement\":$hash_or_null,\"signature\":$hash_or_null,\"ocsp\":$hash_or_null,\"configuration\":$count,\"retention\":\"[a-z0-9-]+\"\\}"

# The payload of a certificate of destruction, in its one spelling: members sorted by name, nothing between them
json_text='"([^"\\]|\\["\\bfnrt]|\\u[0-9a-f]{4})+"'
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
retention='[a-z][a-z0-9-]{0,31}'
person="\\{\"atMs\":$count,\"key\":\"$h43\",\"name\":$json_text,\"role\":\"(administrator|auditor)\"\\}"
list() { printf '%s' "\\[($1(,$1)*)?\\]"; }
destroyed_days="\\{\"firstDay\":$count,\"keys\":$count,\"lastDay\":$count,\"records\":$count,\"retention\":\"$retention\"\\}"
kept_seqs="\\{\"origin\":$json_text,\"seqs\":\\[$count(,$count)*\\]\\}"
one_record="\\{\"leaf\":\"$h43\",\"origin\":$json_text,\"seq\":$count\\}"
destruction_form="\\{\"approved\":$person,\"days\":$(list "$destroyed_days"),\"destroyedAtMs\":$count,\"destruction\":\"$uuid\",\"except\":$(list "$kept_seqs"),\"intent\":\\{\"leaf\":\"$h43\",\"seq\":$count\\},\"kind\":\"destruction\",\"legalBasis\":$json_text,\"origin\":$json_text,\"reason\":$json_text,\"records\":$(list "$one_record"),\"requested\":$person,\"rule\":(null|\"$retention\"),\"server\":\"$server_id\",\"v\":1\\}"
# Under which configuration a destruction is judged, and the messages that it took something from
later=$of_answer
[ "$of_anchoring" -eq 0 ] || later=$of_anchoring
later=${of_destruction:-$later}
destroyed_messages=

# present FILE …: the manifest names them
present() { for one in "$@"; do [ -f "$one" ] || fail PACK_FILE_MISSING "$one"; done; }
# statement MESSAGE FORM: flattened to $tmp/MESSAGE
statement() {
  oneline "$1/statement" && [ "$(size "$1/statement")" -le 8192 ] && grep -Eqx "$2" "$1/statement" || fail STATEMENT_MALFORMED "$1"
  flat "$1/statement" >"$tmp/$1"
  short "$tmp/$1" 324 log/origin 255 purpose 64 || fail STATEMENT_MALFORMED "$1"
}
# short FLAT MOST [PATH MOST]…: no value is longer, and no segment of one is longer than 64 (hashes are shorter)
short() {
  awk -F '\t' -v most="$2" -v a="${3:-}" -v m="${4:-0}" -v b="${5:-}" -v n="${6:-0}" '
    { w = $1 == a ? m : $1 == b ? n : most; if (length($2) > w) bad = 1
      if ($1 ~ /^(from|to|client|service)$/) { c = split($2, p, "/"); for (i = 1; i <= c; i++) if (length(p[i]) > 64) bad = 1 } }
    END { exit bad }' "$1"
}
value() { at "$tmp/$1" "$2"; }
# entryform FILE NAME: an entry of a log in its one spelling, flattened to $tmp/NAME.entry.flat
entryform() {
  oneline "$1" && grep -Eqx "$entry_form" "$1" || return 1
  flat "$1" >"$tmp/$2.entry.flat"
  short "$tmp/$2.entry.flat" 512 code 64 retention 32
}

# signature MESSAGE: the statement stands in the batch that the certificate's key signed
signature() {
  check "$1: signature"
  present "$1/statement" "$1/certificate.der" "$1/signature" "$1/place"
  plain "$1/place" && sed -n 1p "$1/place" | grep -Eqx '(0|[1-9][0-9]{0,14}) (0|[1-9][0-9]{0,14})' || fail PACK_MALFORMED "$1/place"
  sed 1d "$1/place" >"$tmp/path"
  hashes "$tmp/path" || fail PACK_MALFORMED "$1/place"
  index=$(sed -n '1s/ .*//p' "$1/place") batch=$(sed -n '1s/.* //p' "$1/place")
  compact "$1/signature" accord-batch+jws 'alg iat typ x5t#S256' || fail SIGNATURE_WRONG "$1"
  [ "$(size "$1/signature")" -le 4096 ] && oneline "$tmp/payload" || fail SIGNATURE_WRONG "$1"
  grep -Eqx "\\{\"v\":1,\"size\":[1-9][0-9]{0,2},\"root\":\"$h43\"\\}" "$tmp/payload" || fail SIGNATURE_WRONG "$1"
  flat "$tmp/payload" >"$tmp/batch"
  unurl "$(at "$tmp/batch" root)" "$tmp/batchroot" || fail SIGNATURE_WRONG "$1"
  { printf '\000accord-statement/1\000'; cat "$1/statement"; } >"$tmp/leaf"
  [ "$batch" -le 256 ] && [ "$(at "$tmp/batch" size)" = "$batch" ] &&
    included "$(shahex "$tmp/leaf")" "$index" "$batch" "$tmp/path" "$(hex "$tmp/batchroot")" ||
    fail SIGNATURE_WRONG 'the statement does not stand in the signed batch'
  [ "$(shaurl "$1/certificate.der")" = "$(at "$tmp/header.flat" 'x5t#S256')" ] || fail SIGNATURE_WRONG 'the signature names another certificate'
  facts "$1/certificate.der" "$1" || fail SIGNATURE_WRONG 'the certificate cannot be read'
  printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
  jws "$alg" "$tmp/$1.key" "$tmp/input" "$sig64" || fail SIGNATURE_WRONG "$1"
  ok
}
# certificate MESSAGE VERSION SUBSYSTEM: registered, in force, chained, at the time of the statement
certificate() {
  check "$1: certificate"
  made=$(value "$1" at)
  hash=$(shaurl "configuration/$2/content.jws")
  if [ "$(value "$1" configuration/version)" = "$2" ] && [ "$(value "$1" configuration/hash)" != "$hash" ]; then
    fail CONFIGURATION_NOT_IN_FORCE "the statement names another content $2"
  fi
  [ "$made" -ge $(($(at "$tmp/content.$2" issuedAtMs) - 300000)) ] && [ "$made" -le $(($(at "$tmp/content.$2" expiresAtMs) + 604800000)) ] ||
    fail CONFIGURATION_NOT_IN_FORCE "content $2"
  registered "$(value "$1" from)" "$2" || fail CERTIFICATE_NOT_REGISTERED "$(value "$1" from)"
  openssl base64 -A -in "$1/certificate.der" | tr '+/' '-_' | tr -d = >"$tmp/der64"
  below "$members" "$registered/signingCertificates" | grep -Fqx -e "$(cat "$tmp/der64")" || fail CERTIFICATE_NOT_REGISTERED "$(value "$1" from)"
  below "$members" "$registered/subsystems" | grep -Fqx -e "$3" || fail SUBSYSTEM_NOT_ON_SERVER "$3"
  chain "$2" "$tmp/$1.pem" $((made / 1000)) || fail CERTIFICATE_INVALID
  ok
}
# entry MESSAGE: the line says what the statement says
entry() {
  check "$1: entry"
  present "$1/entry"
  entryform "$1/entry" "$1" || fail ENTRY_WRONG "$1"
  kind=$(value "$1" kind)
  case $side/$1 in
    consumer/request) wanted=request-sent ;;
    provider/request) wanted=request-received ;;
    consumer/answer) wanted=$kind-received ;;
    provider/answer) wanted=$kind-sent ;;
  esac
  if [ "$(value "$1" from)" = "$server" ]; then peer=$(value "$1" to); else peer=$(value "$1" from); fi
  decision=$(value "$1" decisionHash)
  for pair in "kind $wanted" "id $exchange" "peer $peer" "client $(value "$1" client)" "service $(value "$1" service)" \
    "purpose $(value "$1" purpose)" "basis $(value "$1" basis)" "decisionHash ${decision:-null}" \
    "statement $(shaurl "$1/statement")" "signature $(shaurl "$1/signature")"; do
    [ "$(at "$tmp/$1.entry.flat" "${pair%% *}")" = "${pair#* }" ] || fail ENTRY_WRONG "$1: it does not say what the statement says"
  done
  ok
}
# content MESSAGE: context and body open their commitments, or were lawfully destroyed
content() {
  for part in context body; do
    check "$1: $part"
    if [ -f "$1/$part" ] && [ -f "$1/$part.salt" ]; then
      [ "$(size "$1/$part.salt")" -eq 32 ] || fail COMMITMENT_WRONG "$part of the $1"
      cat "$1/$part.salt" "$1/$part" >"$tmp/salted"
      [ "$(shaurl "$tmp/salted")" = "$(value "$1" "$part/commitment")" ] || fail COMMITMENT_WRONG "$part of the $1"
      ok
    elif [ -f "destruction/$1/certificate.jws" ]; then
      destruction "$1" && gone
    else
      miss CONTENT_MISSING "$part of the $1"
    fi
  done
}
# destruction MESSAGE: the server signed that two persons had the key of exactly this record destroyed; what it says goes to
# $tmp/destruction.MESSAGE, flattened, and to $tmp/destruction.MESSAGE.payload
destruction() {
  present "destruction/$1/certificate.jws" "destruction/$1/certificate.der"
  if [ ! -f log/checkpoint ]; then
    miss CHECKPOINT_MISSING
    return 1
  fi
  note log/checkpoint checkpoint || fail CHECKPOINT_WRONG checkpoint
  compact "destruction/$1/certificate.jws" accord-destruction+jws 'alg typ x5t#S256' || fail DESTRUCTION_WRONG "$1"
  oneline "$tmp/payload" || [ "$(tr -d '\040-\176\200-\377' <"$tmp/payload" | wc -c)" -eq 0 ] || fail DESTRUCTION_WRONG "$1"
  facts "destruction/$1/certificate.der" destroyer || fail DESTRUCTION_WRONG "$1"
  cp "$tmp/payload" "$tmp/destruction.$1.payload"
  flat "$tmp/payload" >"$tmp/destruction.$1"
  [ "$(tr ',' '\n' <"$tmp/destroyer.facts" | sed -n 's/^ *URI:accord:server://p')" = "$server" ] &&
    [ "$(at "$tmp/destruction.$1" server)" = "$server" ] &&
    [ "$(shaurl "destruction/$1/certificate.der")" = "$(at "$tmp/header.flat" 'x5t#S256')" ] ||
    fail DESTRUCTION_WRONG 'it is not by the server whose log it is'
  printf '%s.%s' "$head64" "$payload64" >"$tmp/input"
  jws "$alg" "$tmp/destroyer.key" "$tmp/input" "$sig64" || fail DESTRUCTION_WRONG 'the signature does not verify'
  grep -Eqx "$destruction_form" "$tmp/payload" || fail DESTRUCTION_WRONG "$1"
  ended=$(at "$tmp/destruction.$1" destroyedAtMs)
  chain "$later" "$tmp/destroyer.pem" $((ended / 1000)) || fail CERTIFICATE_INVALID
  { printf '\000'; cat "$1/entry"; } >"$tmp/leaf"
  written=$(at "$tmp/$1.entry.flat" t)
  # A record that is named, or one of its class and day that is not excepted and was there before the intent.
  awk -F '\t' -v origin="$origin" -v seq="$(at "$tmp/$1.entry.flat" seq)" -v leaf="$(shaurl "$tmp/leaf")" \
    -v retention="$(at "$tmp/$1.entry.flat" retention)" -v day=$((written / 86400000)) '
    { split($1, p, "/"); v[$1] = $2; n[p[1]] = p[2] > n[p[1]] ? p[2] : n[p[1]]; if (p[1] == "except") m[p[2]] = p[4] > m[p[2]] ? p[4] : m[p[2]] }
    END {
      for (i = 0; i <= n["records"]; i++) { r = "records/" i "/"
        if (v[r "origin"] == origin && v[r "seq"] == seq && v[r "leaf"] == leaf) exit 0 }
      for (i = 0; i <= n["days"]; i++) { d = "days/" i "/"
        if (v[d "retention"] == retention && v[d "firstDay"] + 0 <= day + 0 && day + 0 <= v[d "lastDay"] + 0 && (d "firstDay") in v) covered = 1 }
      for (i = 0; i <= n["except"]; i++) if (v["except/" i "/origin"] == origin)
        for (j = 0; j <= m[i]; j++) if (v["except/" i "/seqs/" j] == seq && seq != "") covered = 0
      if (v["origin"] == origin && seq + 0 >= v["intent/seq"] + 0) covered = 0
      exit covered ? 0 : 1
    }' "$tmp/destruction.$1" && [ "$ended" -ge "$written" ] || fail DESTRUCTION_WRONG 'it is about other records'
  case $destroyed_messages in *"$1"*) ;; *) destroyed_messages="$destroyed_messages $1" ;; esac
}
# message MESSAGE VERSION SUBSYSTEM
message() {
  signature "$1"
  certificate "$1" "$2" "$3"
  entry "$1"
  check "$1: certificate status"
  status "$1" "$2" $(($(value "$1" at) / 1000))
  content "$1"
}

check 'request: statement'
present request/statement
oneline request/statement || fail STATEMENT_MALFORMED request
case $(cat request/statement) in
  *'"kind":"request"'*) statement request "$statement_form\\}" ;;
  *'"kind":"settlement"'*) statement request "$statement_form,\"request\":\"$h43\"\\}" ;;
  *) statement request "$statement_form$answer_form\\}" ;;
esac
if [ "$side" = consumer ]; then own=$(value request from); else own=$(value request to); fi
[ "$(value request kind)" = request ] && [ "$(value request id)" = "$exchange" ] && [ "$own" = "$server" ] ||
  fail STATEMENT_OTHER 'not the request of this exchange'
ok
message request "$of_request" "$(value request client)"

check 'answer: statement'
answered=
if [ ! -f answer/statement ]; then
  miss ANSWER_MISSING
else
  oneline answer/statement || fail STATEMENT_MALFORMED answer
  case $(cat answer/statement) in
    *'"kind":"request"'*) statement answer "$statement_form\\}" ;;
    *'"kind":"settlement"'*) statement answer "$statement_form,\"request\":\"$h43\"\\}" ;;
    *) statement answer "$statement_form$answer_form\\}" ;;
  esac
  case $(value answer kind) in response | refusal) ;; *) fail STATEMENT_OTHER ;; esac
  [ "$(value answer request)" = "$(shaurl request/statement)" ] && [ "$(value answer from)" = "$(value request to)" ] &&
    [ "$(value answer to)" = "$(value request from)" ] || fail STATEMENT_OTHER 'it does not answer the request'
  for one in client service purpose basis; do
    [ "$(value answer $one)" = "$(value request $one)" ] || fail STATEMENT_OTHER 'it does not answer the request'
  done
  ok
  answered=yes
  service=$(value answer service)
  message answer "$of_answer" "${service%/*}"
fi

# log ------------------------------------------------------------------------------------------------------------------
# Checks 20 and 21: both entries stand in the tree of the checkpoint, in their order, and the answer cites the entry of the request.

# inlog FOLDER SEQ: the entry in FOLDER stands at SEQ in the tree of $tree leaves with this $root
inlog() {
  present "$1/inclusion"
  hashes "$1/inclusion" || fail PACK_MALFORMED "$1/inclusion"
  { printf '\000'; cat "$1/entry"; } >"$tmp/leaf"
  included "$(shahex "$tmp/leaf")" "$2" "$tree" "$1/inclusion" "$root" || fail INCLUSION_WRONG "$1"
}
base() { printf '%s\n' "$1" | sed -E 's#^(accord(/[^/]+){4})/([2-9]|[1-9][0-9]{1,8})$#\1#'; }

check 'request: in the log'
if [ ! -f log/checkpoint ]; then
  miss CHECKPOINT_MISSING
  conclude
fi
note log/checkpoint checkpoint || fail CHECKPOINT_WRONG checkpoint
log_tree=$tree log_root=$root
inlog request "$(at "$tmp/request.entry.flat" seq)"
ok
if [ -n "$answered" ]; then
  check 'answer: in the log'
  inlog answer "$(at "$tmp/answer.entry.flat" seq)"
  [ "$(at "$tmp/answer.entry.flat" seq)" -gt "$(at "$tmp/request.entry.flat" seq)" ] &&
    [ "$(at "$tmp/answer.entry.flat" t)" -ge "$(at "$tmp/request.entry.flat" t)" ] || fail ENTRY_WRONG 'the answer stands before its request'
  registered "$(value answer from)" "$of_answer" || fail ENTRY_WRONG
  [ "$(base "$(value answer log/origin)")" = "$(base "$(at "$members" "$registered/log/origin")")" ] || fail ENTRY_WRONG 'the answer cites no log of its server'
  if [ "$side" = provider ]; then
    [ "$(value answer log/index)" = "$(at "$tmp/request.entry.flat" seq)" ] && [ "$(value answer log/origin)" = "$origin" ] ||
      fail ENTRY_WRONG 'the answer cites another entry of the request'
  fi
  ok
  last=$(at "$tmp/answer.entry.flat" t)
else
  last=$(at "$tmp/request.entry.flat" t)
fi

# logkey VERSION: the checkpoint that `note` read last is signed first by the registered key of the exporter's log
logkey() {
  registered "$server" "$1" || fail CHECKPOINT_WRONG "$origin"
  [ "$(base "$origin")" = "$(base "$(at "$members" "$registered/log/origin")")" ] || fail CHECKPOINT_WRONG "$origin"
  unurl "$(at "$members" "$registered/log/key")" "$tmp/logkey" || fail CHECKPOINT_WRONG
  signedfirst checkpoint "$origin" "$(hex "$tmp/logkey")" || fail CHECKPOINT_WRONG "$origin"
}

# tokens ---------------------------------------------------------------------------------------------------------------
# Time-stamp tokens (RFC 3161): over which text, by whom, and that nothing is in one that its signature does not cover.

# stamped TOKEN TEXT: $stamped is the time of a good token over this text, by an authority in $tmp/stamps.pem
stamped() {
  openssl ts -reply -token_in -in "$1" -text >"$tmp/ts" 2>/dev/null || fail TIME_STAMP_WRONG
  stamped=$(sed -n 's/^Time stamp: //p' "$tmp/ts")
  [ -n "$stamped" ] || fail TIME_STAMP_WRONG
  stamped=$(epoch "$stamped")
  openssl ts -verify -token_in -in "$1" -data "$2" -CAfile "$tmp/stamps.pem" -untrusted "$tmp/stamps.pem" -attime "$stamped" >/dev/null 2>&1 ||
    fail TIME_STAMP_WRONG
  [ "$stamped" -le $((now + 301)) ] || fail TIME_STAMP_WRONG 'from the future'
}
# asn1 FILE: the values of a DER file to $tmp/asn1, one a line: depth, offset, length of tag and length, all of the length, what
# it is. Fails where openssl cannot read it, for something behind it, and for a length in another than the one spelling of DER.
asn1() {
  openssl asn1parse -inform DER -in "$1" 2>/dev/null >"$tmp/asn1.text" || return 1
  sed 's/^ *\([0-9]*\):d=\([0-9]*\) *hl=\([0-9]*\) l= *\([0-9]*\) \(....\): */\2 \1 \3 \4 \5 /; t
    s/.*/wrong/' "$tmp/asn1.text" | awk -v size="$(size "$1")" '
    /^wrong/ { bad = 1 }
    { head = $4 < 128 ? 2 : $4 < 256 ? 3 : $4 < 65536 ? 4 : 5
      if ($3 != head || (NR == 1 && $2 + $3 + $4 != size)) bad = 1
      what = ""; for (i = 5; i <= NF; i++) what = what (i > 5 ? " " : "") $i
      print $1, $2, $3, $3 + $4, what }
    END { exit bad }' >"$tmp/asn1"
}
# bytes FILE OFFSET LENGTH
bytes() { [ $# -eq 3 ] && dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null; }
# part FILE PLACE: the bytes at the place of this name in $tmp/places, hexadecimal
part() { bytes "$1" $(awk -v what="$2" '$1 == what { print $2, $3; exit }' "$tmp/places") | od -An -v -tx1 | tr -d ' \n'; }
sha2=300b06096086480165030402 ecdsa=300a06082a8648ce3d0403 rsa=300d06092a864886f70d0101
# onlysigned TOKEN: nothing is in it that no signature covers. RFC 5652 leaves room for that: its version, the list of digest
# algorithms, unsigned attributes, certificates and revocation lists beside, the spelling of the signer's name. What is
# kept of those has one form: version 3, one digest, certificates of the path below the trusted one, lists that they signed.
onlysigned() {
  asn1 "$1" || return 1
  awk '
    function wrong() { bad = 1; exit }
    $1 == 3 { n++; part = $5 " " $6 " " $7 " " $8 " " $9; place = ""
      if (n == 1 && part !~ /^prim INTEGER :03/) wrong()
      if (n == 2 && part !~ /^cons SET/) wrong()
      if (n == 3 && part !~ /^cons SEQUENCE/) wrong()
      if (n == 2) { place = "digest"; next }
      if (n < 4) next
      if (part ~ /^cons cont \[ 0 \]/ && stage < 1) { stage = 1; place = "certificate"; next }
      if (part ~ /^cons cont \[ 1 \]/ && stage < 2) { stage = 2; place = "list"; next }
      if (part ~ /^cons SET/ && stage < 3) { stage = 3; place = "signer"; next }
      wrong() }
    $1 == 4 && place == "signer" { if (signers++) wrong(); next }
    $1 == 4 && place != "" { if ($6 != "SEQUENCE") wrong(); print place, $2, $4; if (place == "digest" && digests++) wrong() }
    $1 == 5 && place == "signer" { m++
      kind = m == 1 ? "INTEGER" : m == 4 ? "cont" : m == 6 ? "OCTET" : "SEQUENCE"
      if ($6 != kind || m > 6 || (m == 4 && $8 != "0")) wrong()
      if (m == 1 && $7 != ":01") wrong()
      if (m == 2) print "name", $2 + $3, $4 - $3
      if (m == 3) print "used", $2, $4
      if (m == 5) print "method", $2, $4 }
    END { if (bad || m != 6 || digests != 1 || stage != 3) exit 1 }' "$tmp/asn1" >"$tmp/places" || return 1
  # SHA-256, SHA-384 or SHA-512 without parameters, and ECDSA or RSA with the same, each in one spelling
  case $(part "$1" digest)/$(part "$1" used)/$(part "$1" method) in
    "$sha2"01/"$sha2"01/"$ecdsa"02 | "$sha2"02/"$sha2"02/"$ecdsa"03 | "$sha2"03/"$sha2"03/"$ecdsa"04) ;;
    "$sha2"01/"$sha2"01/"$rsa"0b0500 | "$sha2"02/"$sha2"02/"$rsa"0c0500 | "$sha2"03/"$sha2"03/"$rsa"0d0500) ;;
    *) return 1 ;;
  esac
  signer=$(part "$1" name)
  : >"$tmp/carried"
  cat "$tmp/stamps.pem" >"$tmp/beside.pem"
  n=0
  awk '$1 == "certificate" { print $2, $3 }' "$tmp/places" >"$tmp/list"
  while read -r offset length; do
    n=$((n + 1))
    bytes "$1" "$offset" "$length" >"$tmp/beside.$n.der"
    hex "$tmp/beside.$n.der" >>"$tmp/carried"
    echo >>"$tmp/carried"
    { printf '%s\n' '-----BEGIN CERTIFICATE-----'; openssl base64 -in "$tmp/beside.$n.der"; printf '%s\n' '-----END CERTIFICATE-----'; } >"$tmp/beside.$n.pem"
    cat "$tmp/beside.$n.pem" >>"$tmp/beside.pem"
  done <"$tmp/list"
  sort -c -u "$tmp/carried" 2>/dev/null || return 1
  besides=$n
  # The signer's certificate is found by its name and number, here or among those that are configured.
  found=
  while [ "$n" -gt 0 ]; do
    named "$tmp/beside.$n.der" && found=yes || onpath "$n" || return 1
    n=$((n - 1))
  done
  if [ -z "$found" ]; then
    while read -r der; do
      unurl "$der" "$tmp/one.der" && named "$tmp/one.der" && found=yes
    done <"$tmp/ders"
  fi
  [ -n "$found" ] || return 1
  # Who signed the lists is seen when they are asked (`revoked`).
  awk '$1 == "list" { print $2, $3 }' "$tmp/places" >"$tmp/list"
  [ "$(wc -l <"$tmp/list")" -le 8 ] || return 1
  : >"$tmp/carried"
  while read -r offset length; do
    bytes "$1" "$offset" "$length" >"$tmp/one.der"
    hex "$tmp/one.der" >>"$tmp/carried"
    echo >>"$tmp/carried"
    listing "$tmp/one.der" || return 1
  done <"$tmp/list"
  sort -c -u "$tmp/carried" 2>/dev/null
}
# named CERTIFICATE-DER: its issuer and number are, byte for byte, those in $signer
named() {
  asn1 "$1" || return 1
  [ "$(bytes "$1" $(awk '$1 == 2 { n++ } $1 == 2 && n == 1 && $6 == "cont" { n = 0 } $1 == 2 && n == 3 { print $2, $4; exit }' "$tmp/asn1") |
    od -An -v -tx1 | tr -d ' \n')$(bytes "$1" $(awk '$1 == 2 && $6 == "INTEGER" { print $2, $4; exit }' "$tmp/asn1") |
    od -An -v -tx1 | tr -d ' \n')" = "$signer" ]
}
# onpath N: the certificate beside number N is no trusted one, leads to one, and issued another one beside
onpath() {
  openssl x509 -in "$tmp/beside.$1.pem" -noout -subject_hash -issuer_hash >"$tmp/two" 2>/dev/null || return 1
  [ "$(sed -n 1p "$tmp/two")" != "$(sed -n 2p "$tmp/two")" ] || return 1
  openssl verify -no_check_time -no-CApath -no-CAstore -CAfile "$tmp/stamps.pem" -untrusted "$tmp/beside.pem" "$tmp/beside.$1.pem" >/dev/null 2>&1 || return 1
  below=0
  while [ "$below" -lt "$besides" ]; do
    below=$((below + 1))
    [ "$below" -ne "$1" ] || continue
    issued "$tmp/beside.$1.pem" "$tmp/beside.$below.pem" && return 0
  done
  return 1
}
# Certificates of all authorities to $tmp/stamps.pem, lists about them to $tmp/revocations.N. authorities PART-FLAT
authorities() {
  awk -F '\t' '$1 ~ /^authorities\/[0-9]+\/certificates\// { print $2 }' "$1" >"$tmp/ders"
  while read -r der; do pem CERTIFICATE "$der"; done <"$tmp/ders" >"$tmp/stamps.pem"
  lists=0
  below "$1" crls >"$tmp/crls"
  while read -r der; do
    lists=$((lists + 1))
    pem 'X509 CRL' "$der" >"$tmp/revocations.$lists"
    readlist "$lists"
  done <"$tmp/crls"
}

# revocations ----------------------------------------------------------------------------------------------------------
# Whether a time-stamp authority was revoked, by the lists of the configuration or of the token (RFC 5280 section 5).

# readlist N: what the list $tmp/revocations.N says to $tmp/revocations.N.says, or no such file where it says nothing
readlist() {
  rm -f "$tmp/revocations.$1.says"
  sed '/^-/d' "$tmp/revocations.$1" | openssl base64 -d >"$tmp/one.der" 2>/dev/null
  if listing "$tmp/one.der"; then mv "$tmp/says" "$tmp/revocations.$1.says"; fi
}
# listing FILE: a revocation list (RFC 5280 section 5) in DER, to $tmp/says: a line with its time and the identifier of the key
# that signed it, then for each entry number, time and reason (`none` where it says none). Fails where it does not speak for its
# whole authority, which critical extensions say, for another algorithm than the library knows, and for another form.
listing() {
  od -An -v -tx1 "$1" | awk '
    function wrong() { exit 1 }
    # The value at a place: T its tag, S and E where its contents begin and end
    function value(p, limit, n, k) {
      if (p + 2 > limit) wrong()
      T = B[p]; n = V[B[p + 1]]; S = p + 2
      if (V[T] % 32 == 31) wrong()
      if (n > 127) {
        k = n - 128; n = 0
        if (k < 1 || k > 4 || S + k > limit || B[S] == "00") wrong()
        while (k-- > 0) n = n * 256 + V[B[S++]]
        if (n < 128) wrong()
      }
      E = S + n
      if (E > limit) wrong()
    }
    function hex(p, e, h) { h = ""; while (p < e) h = h B[p++]; return h }
    function take(p, limit, tag) { value(p, limit); if (T != tag) wrong() }
    function integer() {
      if (S == E || (E - S > 1 && ((B[S] == "00" && V[B[S + 1]] < 128) || (B[S] == "ff" && V[B[S + 1]] >= 128)))) wrong()
    }
    # Seconds since 1970 of UTCTime or GeneralizedTime
    function time(p, limit, text, i, y, m, d, h, n, s) {
      value(p, limit)
      if (T != "17" && T != "18") wrong()
      text = ""
      for (i = S; i < E - 1; i++) { if (V[B[i]] < 48 || V[B[i]] > 57) wrong(); text = text (V[B[i]] - 48) }
      if (B[E - 1] != "5a" || length(text) != (T == "17" ? 12 : 14)) wrong()
      if (T == "17") text = (substr(text, 1, 2) + 0 >= 50 ? "19" : "20") text
      y = substr(text, 1, 4) + 0; m = substr(text, 5, 2) + 0; d = substr(text, 7, 2) + 0
      h = substr(text, 9, 2) + 0; n = substr(text, 11, 2) + 0; s = substr(text, 13, 2) + 0
      i = m == 2 ? (y % 4 == 0 && (y % 100 || y % 400 == 0) ? 29 : 28) : (m == 4 || m == 6 || m == 9 || m == 11) ? 30 : 31
      if (m < 1 || m > 12 || d < 1 || d > i || h > 23 || n > 59 || s > 59) wrong()
      if (m <= 2) { y--; m += 12 }
      return (365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d - 719469) * 86400 + h * 3600 + n * 60 + s
    }
    # Extensions: those that matter here go to KEY, NUMBER and REASON; none may be critical, and none restrict the list.
    function extensions(p, limit, scope, n, end, name) {
      if (p >= limit) wrong()
      for (n = 1; p < limit; n++) {
        take(p, limit, "30"); end = E; p = S
        take(p, end, "06"); name = hex(S, E); p = E
        if (name == "" || ((scope, name) in seen) || n > 32) wrong()
        seen[scope, name] = 1
        take(p, end, "04")
        if (E != end) wrong()
        p = S
        if (name == "551d1c") wrong()
        if (name == "551d14" && scope == 0) { take(p, end, "02"); integer(); if (E != end) wrong(); NUMBER = 1 }
        if (name == "551d23" && scope == 0) { take(p, end, "30"); if (E != end) wrong(); p = S; take(p, end, "80"); KEY = hex(S, E) }
        if (name == "551d15" && scope > 0) {
          take(p, end, "0a"); integer()
          if (E != end || E - S != 1 || B[S] !~ /^0[01234569a]$/) wrong()
          REASON = V[B[S]]
        }
        p = end
      }
    }
    BEGIN { for (i = 0; i < 256; i++) V[sprintf("%02x", i)] = i }
    { for (i = 1; i <= NF; i++) B[++count] = $i }
    END {
      take(1, count + 1, "30"); all = E
      if (all != count + 1) wrong()
      take(S, all, "30"); p = S; limit = E
      take(limit, all, "30"); method = hex(limit, E)
      take(E, all, "03")
      if (E != all || B[S] != "00") wrong()
      take(p, limit, "02")
      if (hex(S, E) != "01") wrong()
      p = E; take(p, limit, "30")
      if (hex(p, E) != method) wrong()
      digest = substr(method, 57, 2)
      pss = "300d06096086480165030402" digest "0500"
      pss = "304106092a864886f70d01010a3034a00f" pss "a11c301a06092a864886f70d010108" pss "a2030201" (digest == "01" ? "20" : digest == "02" ? "30" : "40")
      if (method !~ /^(300a06082a8648ce3d04030[23]|300506032b6570|300d06092a864886f70d01010[bcd]0500)$/ &&
        (digest !~ /^0[123]$/ || method != pss)) wrong()
      p = E; take(p, limit, "30")
      p = E; begins = time(p, limit)
      p = E; if (time(p, limit) < begins) wrong()
      p = E; first = 0
      if (p < limit && B[p] == "30") { value(p, limit); first = S; last = E; p = E; if (first == last) wrong() }
      take(p, limit, "a0")
      if (E != limit) wrong()
      p = S; take(p, limit, "30")
      if (E != limit) wrong()
      extensions(S, limit, 0)
      if (KEY == "" || !NUMBER) wrong()
      print begins, KEY
      for (p = first; first && p < last; p = end) {
        take(p, last, "30"); end = E; p = S
        take(p, end, "02"); integer(); serial = hex(S, E); sub(/^0+/, "", serial)
        p = E; when = time(p, end); p = E; REASON = "none"
        if (p < end) { take(p, end, "30"); if (E != end) wrong(); extensions(S, end, end) }
        print "x" serial, when, REASON
      }
    }' >"$tmp/says"
}
# revoked TOKEN [plain]: whether this good token, which `stamped` read last, is over because the certificate of its signer, or
# one between it and the trusted one, was revoked: by the newest list that the one above it signed, of the configuration or of
# the token (RFC 3161 section 4). Lists come from whoever; each counts only by a signature, and can only take away. Of a plain
# token every list has to be one of these.
revoked() {
  openssl pkcs7 -inform DER -in "$1" -print_certs -out "$tmp/inside" 2>/dev/null || fail TIME_STAMP_WRONG
  : >"$tmp/inside.pem"
  awk -v certificates="$tmp/inside.pem" -v list="$tmp/revocations." -v n="$lists" '
    /^-----BEGIN CERTIFICATE-----$/ { to = certificates }
    /^-----BEGIN X509 CRL-----$/ && found < 8 { found++; to = list (n + found); printf "" >to; close(to) }
    to != "" { print >>to }
    /^-----END/ && to != "" { close(to); to = "" }
    END { print n + found }' "$tmp/inside" >"$tmp/all"
  all=$(cat "$tmp/all")
  [ "$all" -gt 0 ] || return 1
  nth=$lists
  while [ "$nth" -lt "$all" ]; do
    nth=$((nth + 1))
    readlist "$nth"
  done
  rm -f "$tmp/link.pem"
  openssl cms -verify -inform DER -in "$1" -noverify -certfile "$tmp/stamps.pem" -signer "$tmp/link.pem" -out /dev/null 2>/dev/null &&
    [ -s "$tmp/link.pem" ] || fail TIME_STAMP_WRONG 'its signer'
  ways
  : >"$tmp/asked"
  lost=
  hop=1
  while upwards; do
    if ended; then lost=yes; fi
    if grep -qx -e "$up" "$tmp/ways.trusted"; then hop=; break; fi
    cp "$tmp/way.$up" "$tmp/link.pem"
    hop=$((hop + 1))
    [ "$hop" -lt 8 ] || break
  done
  [ -z "$hop" ] || fail TIME_STAMP_WRONG 'no path to a trusted certificate'
  nth=$lists
  while [ "$nth" -lt "$all" ]; do
    nth=$((nth + 1))
    [ -z "${2:-}" ] || grep -qx -e "$nth" "$tmp/asked" || fail TIME_STAMP_WRONG 'a list of nobody on its path'
    rm -f "$tmp/revocations.$nth" "$tmp/revocations.$nth.says"
  done
  [ -n "$lost" ]
}
# Certificates above others, configured or in the token, to $tmp/way.N; which of them are trusted
ways() {
  cat "$tmp/stamps.pem" "$tmp/inside.pem" | awk -v to="$tmp/way." '
    /^-----BEGIN/ { n++ } { print >(to n) } /^-----END/ { close(to n) } END { print n }' >"$tmp/ways"
  : >"$tmp/ways.trusted"
  : >"$tmp/ways.others"
  nth=0
  while [ "$nth" -lt "$(cat "$tmp/ways")" ]; do
    nth=$((nth + 1))
    openssl x509 -in "$tmp/way.$nth" -noout -subject_hash -issuer_hash >"$tmp/two" 2>/dev/null || fail TIME_STAMP_WRONG
    if [ "$nth" -le "$(wc -l <"$tmp/ders")" ] && [ "$(sed -n 1p "$tmp/two")" = "$(sed -n 2p "$tmp/two")" ]; then
      printf '%s
' "$nth" >>"$tmp/ways.trusted"
    else
      printf '%s
' "$nth" >>"$tmp/ways.others"
    fi
  done
}
# The certificate that issued $tmp/link.pem: $up, a trusted one before others, which have to lead to a trusted one
upwards() {
  for up in $(cat "$tmp/ways.trusted" "$tmp/ways.others"); do
    cmp -s "$tmp/way.$up" "$tmp/link.pem" && continue
    openssl verify -attime "$stamped" -partial_chain -no-CApath -no-CAstore -trusted "$tmp/way.$up" "$tmp/link.pem" >/dev/null 2>&1 || continue
    grep -qx -e "$up" "$tmp/ways.trusted" && return 0
    openssl verify -attime "$stamped" -no-CApath -no-CAstore -CAfile "$tmp/stamps.pem" -untrusted "$tmp/inside.pem" "$tmp/way.$up" >/dev/null 2>&1 &&
      return 0
  done
  return 1
}
# What the newest list of number $up says of $tmp/link.pem ends the token. With no reason, or a compromise, whoever holds the
# key may have made tokens of any time; any other reason ends those made at or after it, as exactly as the authority says.
ended() {
  openssl x509 -in "$tmp/way.$up" -noout -ext keyUsage,subjectKeyIdentifier >"$tmp/can" 2>/dev/null
  grep -q '^ .*CRL Sign' "$tmp/can" || return 1
  key=$(sed -n '/Subject Key Identifier/{n;p;}' "$tmp/can" | tr -d ' :' | tr 'A-F' 'a-f')
  newest= nth=0
  while [ "$nth" -lt "$all" ]; do
    nth=$((nth + 1))
    [ -f "$tmp/revocations.$nth.says" ] && read -r begins by <"$tmp/revocations.$nth.says" && [ "$by" = "$key" ] || continue
    openssl crl -in "$tmp/revocations.$nth" -noout -CAfile "$tmp/way.$up" 2>&1 | grep -q '^verify OK$' || continue
    printf '%s
' "$nth" >>"$tmp/asked"
    [ -n "$newest" ] && [ "$begins" -le "$newest" ] || newest=$begins newest_list=$nth
  done
  [ -n "$newest" ] || return 1
  serial=$(openssl x509 -in "$tmp/link.pem" -noout -serial | sed 's/^serial=0*/x/' | tr 'A-F' 'a-f')
  awk -v serial="$serial" 'NR > 1 && $1 == serial { print $2, $3; exit }' "$tmp/revocations.$newest_list.says" >"$tmp/says"
  read -r when reason <"$tmp/says" || return 1
  case $reason in none | 1 | 2 | 10) return 0 ;; esac
  # Milliseconds of the token's time, rounded down, and of its accuracy, rounded up; a revocation has whole seconds.
  beyond=$(awk '
    function number(h, n, i) { n = 0; for (i = 3; i <= length(h); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(h, i, 1))) - 1; return n }
    /^Time stamp: / && !time { time = 1; f = $5; if (!sub(/^[^.]*[.]/, "", f)) f = ""; ms = substr(f "000", 1, 3) + 0; more = length(f) > 3 }
    /^Accuracy: / && !said { said = 1
      if ($3 == "seconds,") { ms += more; if ($2 ~ /^0x/) ms += 1000 * number($2); if ($4 ~ /^0x/) ms += number($4); if ($6 ~ /^0x/ && number($6)) ms++ } }
    END { printf "%d\n", ms / 1000 }' "$tmp/ts")
  [ $((stamped + beyond)) -ge "$when" ]
}

# vouched --------------------------------------------------------------------------------------------------------------
# Checks 22 to 26: who vouches for the checkpoint (its server, the aggregate log, witnesses, time-stamp authorities), and the newest
# time-stamp before the request.

# Seconds since 1970 as people write them
utc() {
  awk -v s="$1" 'BEGIN { d = int(s / 86400); r = s % 86400; z = d + 719468; e = int(z / 146097); o = z - e * 146097
    y = int((o - int(o / 1460) + int(o / 36524) - int(o / 146096)) / 365); n = o - (365 * y + int(y / 4) - int(y / 100)); m = int((5 * n + 2) / 153)
    printf "%04d-%02d-%02dT%02d:%02d:%02dZ", y + e * 400 + (m >= 10), (m < 10 ? m + 3 : m - 9), n - int((153 * m + 2) / 5) + 1, int(r / 3600), int(r % 3600 / 60), r % 60 }'
}
# vouched FOLDER VERSION LAST PREFIX: three checks of who vouches for the checkpoint that `note` read from FOLDER, which holds
# entries up to the time LAST. They are one judgement: what is wrong comes before what is missing.
vouched() {
  check "$4aggregate log"
  part=$tmp/witnesses.$2
  [ -f "$part" ] || : >"$part"
  aggregate=$(at "$part" aggregate/origin)
  above=
  if [ -f "$1/aggregate" ] && [ -z "$aggregate" ]; then fail AGGREGATE_WRONG 'the configuration names no aggregate log'; fi
  if [ ! -f "$1/aggregate" ] || [ -z "$aggregate" ]; then
    miss AGGREGATE_MISSING
  else
    [ -f "$1/aggregate.place" ] || fail PACK_MALFORMED "$1/aggregate"
    plain "$1/aggregate.place" && sed -n 1p "$1/aggregate.place" | grep -Eqx '0|[1-9][0-9]{0,14}' || fail PACK_MALFORMED "$1/aggregate.place"
    sed 1d "$1/aggregate.place" >"$tmp/path"
    hashes "$tmp/path" || fail PACK_MALFORMED "$1/aggregate.place"
    own_line=$(sed -n 1p "$tmp/checkpoint.signed")
    { printf '\000'; cat "$tmp/checkpoint.text"; printf '\n%s\n' "$own_line"; } >"$tmp/leaf"
    note "$1/aggregate" above || fail CHECKPOINT_WRONG 'the aggregate checkpoint'
    [ "$origin" = "$aggregate" ] || fail AGGREGATE_WRONG "$origin"
    verifier "$(at "$part" aggregate/verifierKey)" || fail AGGREGATE_WRONG
    signedfirst above "$aggregate" "$key_hex" || fail AGGREGATE_WRONG "$origin"
    included "$(shahex "$tmp/leaf")" "$(sed -n 1p "$1/aggregate.place")" "$tree" "$tmp/path" "$root" || fail AGGREGATE_WRONG 'it does not hold the checkpoint'
    above=yes
    ok
  fi

  check "$4witnesses"
  below "$part" registryWitness/verifierKeys >"$tmp/keys"
  cosigned checkpoint "$tmp/keys" || fail COSIGNATURE_WRONG "on the log's checkpoint"
  registry=$(at "$part" registryWitness/name)
  [ -n "$registry" ] && [ ! -s "$tmp/cosigners" ] && lacks=registry || lacks=
  good=0 quorum=$(at "$part" quorum)
  if [ -n "$above" ]; then
    awk -F '\t' '$1 ~ /^witnesses\/[0-9]+\/verifierKeys\// { print $2 }' "$part" >"$tmp/keys"
    cosigned above "$tmp/keys" || fail COSIGNATURE_WRONG "on the aggregate's checkpoint"
    good=$(sort -u "$tmp/cosigners" | wc -l | tr -d ' ')
  fi
  if [ -n "$lacks" ]; then miss QUORUM_MISSING "$registry did not cosign"
  elif [ "${quorum:-0}" -eq 0 ]; then miss QUORUM_MISSING 'the configuration demands no witness'
  elif [ "$good" -lt "$quorum" ]; then miss QUORUM_MISSING "$good of $quorum"
  else ok "$good of at least $quorum"; fi

  check "$4time-stamp"
  sed -n "s,^\($1/token\..*\),\1,p" "$tmp/found" >"$tmp/tokens"
  stamps=$tmp/time-stamps.$2 earliest= lost=
  if [ -f "$stamps" ] && [ -s "$tmp/tokens" ]; then
    authorities "$stamps"
    while read -r token; do
      case $token in
        */token.aggregate.*)
          [ -f "$1/aggregate" ] || fail TIME_STAMP_WRONG 'over an aggregate that is not there'
          [ -n "$above" ] || continue
          text=$tmp/above.text
          ;;
        *) text=$tmp/checkpoint.text ;;
      esac
      onlysigned "$token" || fail TIME_STAMP_WRONG 'something in it is signed by nobody'
      stamped "$token" "$text"
      ! revoked "$token" plain || continue
      if [ -z "$earliest" ] || [ "$stamped" -lt "$earliest" ]; then earliest=$stamped; fi
    done <"$tmp/tokens"
  elif [ ! -f "$1/aggregate" ] && grep -q "^$1/token\\.aggregate" "$tmp/tokens"; then
    fail TIME_STAMP_WRONG 'over an aggregate that is not there'
  fi
  if [ -z "$earliest" ]; then
    miss TIME_STAMP_MISSING "${lost:+its authority was revoked}"
  else
    # A token says the second and its fraction; here the second is enough.
    [ $(($3 / 1000)) -le $((earliest + 300)) ] || fail TIME_WRONG
    ok "not later than $(utc "$earliest")"
  fi
}

check checkpoint
of=$of_anchoring
[ "$of" -gt 0 ] || of=$of_answer
log_origin=$origin
logkey "$of"
ok
vouched log "$of" "$last" ''

# The newest time-stamp before the request, which it was written after
before() {
  if [ ! -f before/entry ]; then
    ok 'no earlier time-stamp in the pack'
    return
  fi
  present before/note
  entryform before/entry before || fail ENTRY_WRONG before
  [ "$(at "$tmp/before.entry.flat" kind)" = anchored ] && [ "$(at "$tmp/before.entry.flat" statement)" = "$(shaurl before/note)" ] &&
    [ "$(at "$tmp/before.entry.flat" seq)" -lt "$(at "$tmp/request.entry.flat" seq)" ] || fail ENTRY_WRONG before
  tree=$log_tree root=$log_root
  inlog before "$(at "$tmp/before.entry.flat" seq)"
  if [ ! -f "$stamps" ]; then
    ok 'the configuration names no time-stamp authority'
    return
  fi
  authorities "$stamps"
  flat before/note >"$tmp/before"
  latest= n=0
  while [ -n "$(at "$tmp/before" "tokens/$n/token")" ]; do
    case $(at "$tmp/before" "tokens/$n/over") in
      checkpoint) over=checkpoint ;;
      *) over=aggregate/checkpoint ;;
    esac
    at "$tmp/before" "$over" | awk '{ t = substr($0, 1, index($0, "\\n\\n") + 1); gsub(/\\n/, "\n", t); printf "%s", t }' >"$tmp/before.text"
    unurl "$(at "$tmp/before" "tokens/$n/token")" "$tmp/before.token" || fail TIME_STAMP_WRONG
    stamped "$tmp/before.token" "$tmp/before.text"
    n=$((n + 1))
    ! revoked "$tmp/before.token" || continue
    if [ -z "$latest" ] || [ "$stamped" -gt "$latest" ]; then latest=$stamped; fi
  done
  [ "$n" -gt 0 ] || fail TIME_STAMP_WRONG before
  if [ -z "$latest" ]; then
    ok 'the authority of the earlier time-stamp was revoked'
    return
  fi
  [ $(($(at "$tmp/request.entry.flat" t) / 1000 + 300)) -ge "$latest" ] || fail TIME_WRONG
  ok "not before $(utc "$latest")"
}
check 'not before'
before

# destruction ----------------------------------------------------------------------------------------------------------
# Checks 27 to 34: where something was destroyed, that two persons wanted it, in which order, and who vouches for the log that says it.

if [ -z "$destroyed_messages" ]; then
  for one in certificate 'two persons' order 'in the log' checkpoint 'aggregate log' witnesses time-stamp; do
    check "destruction: $one"
    ok 'nothing was destroyed'
  done
  conclude
fi

# said MESSAGE KEY: what the certificate says
said() { at "$tmp/destruction.$1" "$2"; }
# logged MESSAGE: the two entries and their notes say what the certificate says
logged() {
  folder=destruction/$1
  id=$(said "$1" destruction)
  for kind in intended done; do
    present "$folder/$kind/entry" "$folder/$kind/note"
    entryform "$folder/$kind/entry" "$1.$kind" || fail DESTRUCTION_ENTRY_WRONG "$1: the entry $kind"
    [ "$(at "$tmp/$1.$kind.entry.flat" kind)" = "destruction-$kind" ] && [ "$(at "$tmp/$1.$kind.entry.flat" id)" = "$id" ] &&
      [ "$(at "$tmp/$1.$kind.entry.flat" statement)" = "$(shaurl "$folder/$kind/note")" ] ||
      fail DESTRUCTION_ENTRY_WRONG "$1: the entry $kind"
  done
  printf '{"certificate":"%s","destruction":"%s","v":1}' "$(cat "$folder/certificate.jws")" "$id" >"$tmp/note"
  cmp -s "$tmp/note" "$folder/done/note" || fail DESTRUCTION_ENTRY_WRONG "$1: another certificate"
  { printf '\000'; cat "$folder/intended/entry"; } >"$tmp/leaf"
  [ "$(at "$tmp/$1.intended.entry.flat" seq)" = "$(said "$1" intent/seq)" ] && [ "$(shaurl "$tmp/leaf")" = "$(said "$1" intent/leaf)" ] ||
    fail DESTRUCTION_ENTRY_WRONG "$1: the certificate cites another intent"
  # The note of the intent is what the certificate says without what only the certificate knows.
  sed -e 's/,"destroyedAtMs":[0-9]*,"destruction":"/,"destruction":"/' \
    -e 's/,"intent":{"leaf":"[A-Za-z0-9_-]*","seq":[0-9]*},"kind":"destruction","legalBasis":/,"legalBasis":/' \
    -e 's/,"origin":"[^"]*","reason":/,"reason":/' -e 's/,"server":"[^"]*","v":1}$/,"v":1}/' "$tmp/destruction.$1.payload" |
    tr -d '\n' >"$tmp/note"
  cmp -s "$tmp/note" "$folder/intended/note" || fail DESTRUCTION_ENTRY_WRONG "$1: something else was done than intended"
}
# A name as people compare it: without upper case and needless spaces. Of letters beyond ASCII nothing is said here.
spelled() { printf '%s' "$1" | tr 'A-Z' 'a-z' | sed 's/  */ /g; s/^ //; s/ $//'; }
# number ORIGIN: which of its server's logs
number() { if [ "$(base "$1")" = "$1" ]; then echo 1; else echo "${1##*/}"; fi; }
# order MESSAGE: the record, the word of two persons, the intent, the end of the keys, what is written of it
order() {
  record=$tmp/$1.entry.flat intended=$tmp/$1.intended.entry.flat done=$tmp/$1.done.entry.flat
  of=$(said "$1" origin) ended=$(said "$1" destroyedAtMs) begun=$(at "$intended" t)
  [ "$(base "$of")" = "$(base "$log_origin")" ] && [ "$(number "$log_origin")" -le "$(number "$of")" ] || return 1
  [ "$log_origin" != "$of" ] || [ "$(at "$record" seq)" -lt "$(at "$intended" seq)" ] || return 1
  [ "$(at "$record" t)" -le $((begun + 300000)) ] && [ "$(said "$1" approved/atMs)" -le $((begun + 300000)) ] &&
    [ "$(at "$intended" seq)" -lt "$(at "$done" seq)" ] && [ "$begun" -le "$(at "$done" t)" ] &&
    [ "$begun" -le $((ended + 300000)) ] && [ "$ended" -le "$(at "$done" t)" ]
}

check 'destruction: certificate'
unlogged=
for whose in $destroyed_messages; do
  if [ -f "destruction/$whose/intended/entry" ] && [ -f "destruction/$whose/done/entry" ]; then logged "$whose"; else unlogged=${unlogged:-$whose}; fi
done
if [ -n "$unlogged" ]; then miss DESTRUCTION_NOT_LOGGED "$unlogged"; else ok; fi

check 'destruction: two persons'
for whose in $destroyed_messages; do
  [ "$(said "$whose" requested/key)" != "$(said "$whose" approved/key)" ] &&
    [ "$(spelled "$(said "$whose" requested/name)")" != "$(spelled "$(said "$whose" approved/name)")" ] ||
    fail DESTRUCTION_BY_ONE "$whose"
done
ok
[ -z "$unlogged" ] || conclude

check 'destruction: order'
for whose in $destroyed_messages; do order "$whose" || fail DESTRUCTION_ORDER_WRONG "$whose"; done
ok

check 'destruction: in the log'
folder=log
[ ! -f destruction/log/checkpoint ] || folder=destruction/log
note "$folder/checkpoint" checkpoint || fail CHECKPOINT_WRONG checkpoint
uncovered=
for whose in $destroyed_messages; do
  if [ ! -f "destruction/$whose/done/inclusion" ]; then
    uncovered=${uncovered:-$whose}
    continue
  fi
  [ "$(said "$whose" origin)" = "$origin" ] || fail DESTRUCTION_ENTRY_WRONG "$whose: it was intended in another log"
  for kind in intended done; do
    inlog "destruction/$whose/$kind" "$(at "$tmp/$whose.$kind.entry.flat" seq)"
  done
done
if [ -n "$uncovered" ]; then
  miss CHECKPOINT_MISSING "the destruction of the $uncovered"
  conclude
fi
ok

if [ "$folder" = log ]; then
  for one in checkpoint 'aggregate log' witnesses time-stamp; do
    check "destruction: $one"
    ok 'the checkpoint of the exchange'
  done
  conclude
fi
check 'destruction: checkpoint'
logkey "$later"
ok
last=0
for whose in $destroyed_messages; do
  written=$(at "$tmp/$whose.done.entry.flat" t)
  [ "$written" -le "$last" ] || last=$written
done
vouched destruction/log "$later" "$last" 'destruction: '
conclude
