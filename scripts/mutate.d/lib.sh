# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # what scripts/lib.sh sets
#
# Faults of the driver, by faults.py: what scripts/mutate and its test share. Sourced
# after scripts/lib.sh.

faults() { python3 "$top/scripts/mutate.d/faults.py" "$@"; }

# one_fault SOURCE ID: the source with it; the compiler names it as the driver
one_fault() {
	printf '#line 1 "%s"\n' "$driver"
	faults one "$1" "$2"
}

# all_faults BUILD SOURCE DIR: DIR/driver.c has all faults of DIR/list.json behind
# a condition, but those that gcc refuses, which DIR/dropped has with the reason
all_faults() {
	local build=$1 source=$2 dir=$3 round
	: >"$dir/dropped"
	for round in {1..9}; do
		faults all "$source" <(cut -f1 "$dir/dropped") >"$dir/driver.c" || return
		compile_driver "$build" "$dir/driver.c" "$dir/driver.o" >"$dir/gcc.log" && return
		drop_faults "$@" || break
	done
	echo "gcc refuses the driver with all faults, round $round:"
	grep 'error:' "$dir/gcc.log"
	return 1
}

# Which of the faults gcc means: it names lines, and one error leads to others.
drop_faults() {
	local build=$1 source=$2 dir=$3 id reason suspects found=
	mapfile -t suspects < <(jq -r --rawfile log "$dir/gcc.log" --rawfile dropped "$dir/dropped" \
		--arg driver "$driver" '
		[$log | scan($driver + ":([0-9]+):[0-9]+: (?:error|note)")[0] | tonumber] as $lines |
		.faults[] | select(.id as $id | $dropped | contains($id) | not) |
		select(. as $f | any($lines[]; $f.line <= . and . <= $f.last)) | .id' "$dir/list.json")
	for reason in 'does not compile' 'cannot be selected at run time'; do
		for id in "${suspects[@]}"; do
			case $reason in
			does*) one_fault "$source" "$id" >"$dir/one.c" ;;
			*) faults all "$source" <(jq -r --arg id "$id" \
				'.faults[].id | select(. != $id)' "$dir/list.json") >"$dir/one.c" ;;
			esac
			compile_driver "$build" "$dir/one.c" "$dir/one.o" >/dev/null && continue
			printf '%s\t%s\n' "$id" "$reason" >>"$dir/dropped"
			found=y
		done
		[ -z "$found" ] || return 0
	done
	return 1
}
