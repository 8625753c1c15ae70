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
