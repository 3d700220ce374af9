#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run ported programs beside the originals, and compare what they print. Prints TAP.
#
# usage: compare.sh FOLDER [NAME...]
#
# FOLDER is what run.sh --build made: original/NAME with a stand-in for libmmngr,
# ported/NAME for the heaps of this machine. RUNNER is a command to run them by. A
# program whose original was not built is compared with FOLDER/NAME.output.

set -eu

case ${1:-} in
-h|--help)
	awk 'NR > 3 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"
	exit
	;;
'')
	echo "compare.sh: which folder? Try --help" >&2
	exit 2
	;;
esac
folder=$1
shift
[ $# -gt 0 ] || {
	for program in "$folder"/ported/*; do
		set -- "$@" "${program##*/}"
	done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# What it prints and how it ends; messages of the library go to stderr.
output_of() {
	status=0
	# shellcheck disable=SC2086 # a command and its arguments
	${RUNNER:-} "$1" >"$2" 2>"$tmp/stderr" || status=$?
	echo "status $status" >>"$2"
}

number=0
failed=0
for name; do
	number=$((number + 1))
	if [ -e "$folder/original/$name" ]; then
		output_of "$folder/original/$name" "$tmp/original"
	else
		cp "$folder/$name.output" "$tmp/original"
	fi
	output_of "$folder/ported/$name" "$tmp/ported"
	# Two that do nothing, or fail for want of a node, are the same without a meaning.
	if cmp -s "$tmp/original" "$tmp/ported" && {
		[ "$(wc -l <"$tmp/ported")" -gt 1 ] && grep -qx 'status 0' "$tmp/ported" ||
			[ -n "${FAKE_NODE:-}" ]
	}; then
		echo "ok $number - $name: prints the same"
	else
		echo "not ok $number - $name: prints the same"
		sed 's/^/# original: /' "$tmp/original"
		sed 's/^/# ported: /' "$tmp/ported"
		sed 's/^/# stderr: /' "$tmp/stderr"
		failed=1
	fi
done
echo "1..$number"
exit "$failed"
