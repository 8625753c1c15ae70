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
