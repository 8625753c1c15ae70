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
