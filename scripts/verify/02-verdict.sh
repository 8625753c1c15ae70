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
