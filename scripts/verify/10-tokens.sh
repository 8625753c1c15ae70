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
