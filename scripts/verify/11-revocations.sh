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
