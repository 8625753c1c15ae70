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
