#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Test the way from libmmngr: the semantic patch, the header and the list of names.
# Prints TAP.
#
# usage: run.sh [--build FOLDER] [PROGRAM.c...]
#
# Each program of the file "expected" is ported. One named ok-*.c is then compiled with
# warnings as errors, and run beside the original, with stand-ins for libmmngr and for
# the heaps (fake/), which tell what was asked of them. One named bad-*.c has to be
# refused by the compiler, with a message that says what to do instead.
#
# --build FOLDER leaves the programs there, ported ones without a stand-in:
# FOLDER/compare.sh FOLDER runs them where the heaps are, as in a guest.
#
# Variables:
#   SPATCH         spatch of Coccinelle 1.3 or newer (spatch)
#   CC             C compiler (cc), aarch64-linux-gnu-gcc for one
#   RUNNER         command to run what it makes, "qemu-aarch64 -L /usr/aarch64-linux-gnu"
#                  for one; without it, programs for another machine are not run
#   CFLAGS         more options of the compiler, -static for one
#   DTC            compiler of device trees (dtc)
#   UDEVADM        udevadm of systemd 254 or newer, to check the rules (udevadm)
#   MMNGR_HEADERS  folder with the public headers of the real libmmngr, libmmngrbuf
#                  and mmngr, to compare the list of names with

# shellcheck disable=SC2317 # functions that check calls

set -eu

export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
spatch=${SPATCH:-spatch}
cc=${CC:-cc}
runner=${RUNNER:-}
dtc=${DTC:-dtc}
udevadm=${UDEVADM:-udevadm}
guide=$here/../README.md
names=$here/../libmmngr-api.tsv
boards=$here/../boards.md
rules=$here/../../udev/60-rcar-dma-heap.rules
driver=$here/../../../drivers/dma-buf/heaps/rcar_cma_heap.c
read -ra more <<<"${CFLAGS:-}"
flags=(-std=gnu11 -O2 -Wall -Wextra -Werror "${more[@]}")
# For fake/heap.c to stand in
wrap=('-Wl,--wrap=open' '-Wl,--wrap=ioctl')

help() { awk 'NR > 3 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"; }

build=
chosen=()
while [ $# -gt 0 ]; do
	case $1 in
	-h|--help) help; exit ;;
	--build)
		[ -n "${2:-}" ] || { echo "run.sh: --build wants a folder" >&2; exit 2; }
		mkdir -p "$2"
		build=$(cd "$2" && pwd)
		shift
		;;
	-*) echo "run.sh: unknown option $1, try --help" >&2; exit 2 ;;
	*)
		[ -e "$here/$1" ] || { echo "run.sh: there is no $1" >&2; exit 2; }
		chosen+=("$1")
		;;
	esac
	shift
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/original" "$tmp/ported" "$tmp/source"

count=0
failed=0
# result STATUS NAME [FILE]: FILE is what to show of a failure
result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		failed=1
		[ ! -s "${3:-}" ] || sed 's/^/# /' "$3"
	fi
}

skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# check NAME COMMAND...: whose output is shown when it fails
check() {
	local name=$1 status=0
	shift
	"$@" >"$tmp/said" 2>&1 || status=$?
	result "$status" "$name" "$tmp/said"
}

# A run of blanks is one, and none follows a parenthesis: spatch breaks lines there.
flat() { tr -s '[:space:]' ' ' | sed 's/( /(/g'; }

# expected MARK PROGRAM: its lines in the file "expected" with this mark
expected() {
	awk -F'\t' -v mark="$1" -v program="$2" '
		/^#/ || !NF { next }
		$2 == "compiles" || $2 == "fails" { mine = $1 == program; next }
		mine && $1 == mark { sub(/^[^\t]*\t/, ""); print }
	' "$here/expected"
}

# contains FILE PROGRAM: what it has to contain, and what not
contains() {
	local text line status=0
	text=$(flat <"$1")
	[ "$(grep -c '^#include "mmngr-to-dma-heap.h"$' "$1")" -eq 1 ] || {
		echo 'the header is not there once'
		status=1
	}
	while read -r line; do
		[[ "$text" == *"$(flat <<<"$line" | sed 's/ $//')"* ]] || {
			echo "is not there: $line"
			status=1
		}
	done < <(expected + "$2")
	while read -r line; do
		[[ "$text" != *"$line"* ]] || {
			echo "is there: $line"
			status=1
		}
	done < <(expected - "$2"; echo rcar_heap_from_; echo rcar_heap_to_)
	[ "$status" -eq 0 ] || cat "$1"
	return "$status"
}

# no_name_left FILE: no call of the library, but for those that are marked
no_name_left() {
	sed -E 's/RCAR_HEAP_NO_[A-Z]+\("?mmngr_[a-z_]+"?\)//g; s/^extern .*//' "$1" |
		grep -nE '\b(mmngr_(alloc_in|free_in|share_in|release_in|export|import|debug|flush\(|inval\()|mmngr_(buf_)?user_public)' && return 1
	return 0
}

# port PROGRAM OPTION...
port() {
	local program=$1
	shift
	"$spatch" --very-quiet --sp-file "$here/../mmngr.cocci" "$@" "$here/$program" \
		-o "$tmp/source/$program" || return
	[ -e "$tmp/source/$program" ] || {
		echo "$program stayed as it was"
		return 1
	}
}

compile() { "$cc" "${flags[@]}" -I"$here/.." -I"$here" "$@"; }
compile_original() { "$cc" "${flags[@]}" -I"$here/fake" -I"$here" "$@"; }

# of_the_fakes PROGRAM: what the ported program asked of the heaps
asked() {
	rm -f "$tmp/log"
	: >"$tmp/log"
	# shellcheck disable=SC2086 # a command and its arguments
	FAKE_LOG=$tmp/log $runner "$tmp/ported/$1" >/dev/null 2>&1 || true
	diff -u --label expected --label asked <(expected @ "$1.c") "$tmp/log"
}

compare() { RUNNER=$runner sh "$here/compare.sh" "$tmp" "$1"; }

# only_ours: every error that the compiler gives of a ported program is one of ours
only_ours() {
	grep -E 'error:' "$tmp/errors" >"$tmp/all" || { echo 'it compiles'; return 1; }
	! grep -v 'mmngr: ' "$tmp/all"
}

says() {
	local line status=0
	while read -r line; do
		grep -qF "$line" "$tmp/errors" || { echo "is not said: $line"; status=1; }
	done < <(expected ! "$1")
	[ "$status" -eq 0 ] || cat "$tmp/errors"
	return "$status"
}

test_ok() {
	local program=$1 options=$2 name=${1%.c} sources original
	local with=with-${name#ok-}.c
	sources=("$tmp/source/$program")
	original=("$here/$program")
	if [ -e "$here/$with" ]; then
		check "$name: $with is ported" port "$with"
		sources+=("$tmp/source/$with")
		original+=("$here/$with")
	fi
	read -ra options <<<"$options"
	check "$name: original compiles" compile_original "${wrap[@]}" \
		-o "$tmp/original/$name" "${original[@]}" "$here/fake/libmmngr.c" "$here/fake/heap.c"
	check "$name: compiles without a warning" compile "${options[@]}" "${wrap[@]}" \
		-o "$tmp/ported/$name" "${sources[@]}" "$here/fake/heap.c"
	if [ ! -e "$tmp/original/$name" ] || [ ! -e "$tmp/ported/$name" ]; then
		return
	fi
	if $can_run; then
		check "$name: prints the same" compare "$name"
		check "$name: asks the heaps for what it should" asked "$name"
		FAKE_NODE=13 check "$name: prints the same without permission" compare "$name"
	else
		skip "$name: prints the same" 'no RUNNER for these programs'
	fi
	[ -z "$build" ] || {
		cp "$tmp/original/$name" "$build/original"
		compile "${options[@]}" -o "$build/ported/$name" "${sources[@]}"
	}
}

test_bad() {
	local program=$1 name=${1%.c}
	check "$name: original compiles" compile_original -c -o "$tmp/object" "$here/$program"
	compile -Wno-all -Wno-extra -c -o "$tmp/object" "$tmp/source/$program" 2>"$tmp/errors" || true
	check "$name: the compiler says what to do" says "$program"
	check "$name: the compiler says nothing else" only_ours
}

test_program() {
	local program=$1 what=$2 cc_options=$3 spatch_options=$4
	read -ra spatch_options <<<"$spatch_options"
	check "${program%.c}: is ported" port "$program" "${spatch_options[@]}"
	[ -e "$tmp/source/$program" ] || return 0
	check "${program%.c}: is what it should be" contains "$tmp/source/$program" "$program"
	check "${program%.c}: calls nothing of the library" no_name_left "$tmp/source/$program"
	case $what in
	compiles) test_ok "$program" "$cc_options" ;;
	fails) test_bad "$program" ;;
	esac
}

# program|what it does|options of the compiler|options of spatch, for each
programs() {
	awk -F'\t' '$2 == "compiles" || $2 == "fails" { print $1 "|" $2 "|" $3 "|" $4 }' "$here/expected"
}

all_expected() {
	diff <(cd "$here" && printf '%s\n' ok-*.c bad-*.c | sort) \
		<(programs | cut -d '|' -f 1 | sort)
}

# ---- the list of names ----

names_of() { awk -F'\t' '!/^#/ && NF { sub(/^struct /, "", $1); print $1 }' "$names" | sort -u; }

list_is_whole() {
	awk -F'\t' '
		/^#/ || !NF { next }
		NF != 4 || $2 !~ /^(function|type|error|flag|constant)$/ { print "what is " $0; bad = 1 }
		END { exit bad }
	' "$names"
}

# The names that the programs here are compiled with, and those that the semantic patch
# and the header know
list_has_ours() {
	cat "$here"/fake/mmngr*.h "$here/../mmngr.cocci" "$here/../mmngr-to-dma-heap.h" |
		grep -oE '\b(mmngr_[a-z0-9_]+_(user|va)(_ext)?|mmngr_(flush|inval)|R_MM_[A-Z]+|MMNGR_[A-Z_]+|MM_(KERNELHEAP|CARVEOUT|FUNC)[A-Z0-9_]*)\b' |
		grep -vx 'MMNGR_TO_DMA_HEAP_H' | sort -u >"$tmp/ours"
	[ -s "$tmp/ours" ] && ! comm -23 "$tmp/ours" <(names_of) | grep .
}

list_has_real() {
	cat "$MMNGR_HEADERS"/*.h | sed 's,/\*.*\*/,,' |
		grep -oE '\b(mmngr_[a-z0-9_]+(_user|_va)(_ext)?\b|mmngr_(flush|inval)\b|R_MM_[A-Z]+|MMNGR_[A-Z_]+|MM_[A-Z0-9_]+)' |
		sort -u >"$tmp/real"
	[ -s "$tmp/real" ] && ! comm -23 "$tmp/real" <(names_of) | grep .
}

# Whatever has a replacement is in the header; the programs for the rest do not compile.
replacements_exist() {
	local name status=0
	for name in $(grep -oE 'rcar_heap_[a-z0-9_]+\(\)' "$names" | tr -d '()' | sort -u); do
		grep -qE "^static inline int $name\(" "$here/../mmngr-to-dma-heap.h" || {
			echo "no function $name"
			status=1
		}
	done
	return "$status"
}

# mentions NAME: the guide has it in code, whole
mentions() { grep -qE "(^|[^A-Za-z0-9_])$1([^A-Za-z0-9_]|$)" "$guide"; }

guide_mentions_all() {
	local name status=0
	for name in $(names_of); do
		mentions "$name" || { echo "the guide does not mention $name"; status=1; }
	done
	return "$status"
}

# The functions of the header, too, and the macros that are messages
guide_mentions_ours() {
	local name status=0
	while read -r name; do
		mentions "$name" || { echo "the guide does not mention $name"; status=1; }
	done < <(sed -nE 's/^static inline int (rcar_heap_[a-z0-9_]+)\(.*/\1/p' \
		"$here/../mmngr-to-dma-heap.h" | grep -vE '_(error|keep|sync|size)$')
	return "$status"
}

# guide_has: each line of stdin stands in the guide, and there are some
guide_has() {
	local line status=0 text count=0
	text=$(flat <"$guide")
	while read -r line; do
		count=$((count + 1))
		[[ "$text" == *"$line"* ]] || { echo "the guide has no line for: $line"; status=1; }
	done
	[ "$count" -ge 10 ] && return "$status"
}

# Each message as the compiler gives it
guide_explains_messages() {
	sed -nE 's/.*UNPORTED\("mmngr: ([^:]*).*/\1/p' "$here/../mmngr-to-dma-heap.h" | guide_has
}

# The driver's messages, too, as they are in its source
guide_explains_log() { messages_of_driver | guide_has; }

# Errors, warnings and what tells of a heap; literals in pieces become one
messages_of_driver() {
	tr '\n' ' ' <"$driver" | sed -E 's/"[[:space:]]+"//g' |
		grep -oE '\b((pr|dev)_(err|warn|info)(_ratelimited|_probe)?\([^;]*|return "[^;]*);' |
		grep -oE '"[^"]*"' | sed -E 's/^"//; s/(\\n)?"$//' |
		grep -vE 'refused: %s|^$'
}

# Patches that the guide names by what is in their names are there.
patches_are_there() {
	local pattern status=0
	while read -r pattern; do
		compgen -G "$here/../../../$pattern" >/dev/null ||
			{ echo "no $pattern"; status=1; }
	done < <(grep -oE 'patches/[^`]*\.patch' "$guide" | sort -u)
	return "$status"
}

links_lead_somewhere() {
	local link status=0
	while read -r link; do
		case $link in
		http*) ;;
		'#'*)
			sed -nE 's/^#+ (.*)/\1/p' "$guide" | tr 'A-Z ' 'a-z-' | tr -d ',.`' |
				grep -qxF -- "${link#\#}" || { echo "no section $link"; status=1; }
			;;
		*) [ -e "$here/../$link" ] || { echo "no file $link"; status=1; } ;;
		esac
	done < <(grep -oE '\]\([^)]+\)' "$guide" | sed 's/^](//; s/)$//')
	return "$status"
}

# ---- the device trees ----

# blocks STAGE BOARD: the code after the word "Before" or "After" of this section
blocks() {
	awk -v stage="$1" -v board="## $2" '
		/^## / { mine = $0 == board; at = "" }
		/^(Before|After)/ { at = $1; sub(/[,:].*/, "", at) }
		mine && at == stage && /^    / { print substr($0, 5) }
	' "$boards"
}

board_names() { sed -n 's/^## //p' "$boards"; }

boards_compile() {
	local board stage status=0
	while read -r board; do
		for stage in Before After; do
			{
				echo '/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;'
				blocks "$stage" "$board"
				echo '};'
			} >"$tmp/board.dts"
			"$dtc" -q -o "$tmp/board.dtb" "$tmp/board.dts" || {
				echo "$stage: $board"
				status=1
			}
		done
	done < <(board_names)
	return "$status"
}

# fits FIRST LAST SIZE BASE LENGTH: what the driver would refuse is not memory below
# 4 GiB, or no whole units of 2 MiB
fits() {
	[ $# -eq 5 ] &&
		[ $(($4)) -ge $(($1)) ] && [ $(($4 + $5 - 1)) -le $(($2)) ] &&
		[ $(($2)) -lt $((1 << 32)) ] &&
		[ $(($3)) -gt 0 ] && [ $(($3)) -le $(($5)) ] &&
		[ $((($3 | $4 | $5) % (2 << 20))) -eq 0 ]
}

boards_fit() {
	local board memory size window lossy status=0 count=0
	while read -r board; do
		count=$((count + 1))
		read -ra memory < <(awk -v board="## $board" '
			/^## / { mine = $0 == board }
			mine && /^Memory below 4 GiB: / { print $5 }' "$boards" | tr -d . | tr - ' ')
		size=$(blocks After "$board" | sed -nE 's/^ +size = <0x0 (0x[0-9a-f]+)>;$/\1/p')
		read -ra window < <(blocks After "$board" | sed -nE \
			's/^ +alloc-ranges = <0x0 (0x[0-9a-f]+) 0x0 (0x[0-9a-f]+)>;$/\1 \2/p')
		fits "${memory[@]}" "$size" "${window[@]}" || {
			echo "$board: $size in ${window[*]}, of ${memory[*]}"
			status=1
			continue
		}
		# The area for lossy decompression is not for ordinary pages.
		read -ra lossy < <(blocks Before "$board" | awk '
			/no-map/ { area = 1 }
			/}/ { area = 0 }
			area && /reg =/ { gsub(/[<>;]/, ""); print $4, $6 }
			END { print 0, 0 }')
		if [ $((lossy[0])) -lt $((window[0] + window[1])) ] &&
		   [ $((window[0])) -lt $((lossy[0] + lossy[1])) ]; then
			echo "$board: the lossy area ${lossy[*]} is in the window ${window[*]}"
			status=1
		fi
	done < <(board_names)
	[ "$count" -gt 0 ] && return "$status"
}

# ---- the header by itself ----

header_alone() {
	printf '#include "mmngr-to-dma-heap.h"\n#include "mmngr-to-dma-heap.h"\n' >"$tmp/alone.c"
	compile -c -o "$tmp/object" "$tmp/alone.c" &&
		compile -std=c11 -D_GNU_SOURCE -pedantic -c -o "$tmp/object" "$tmp/alone.c"
}

# Whoever still includes the library's header is told so.
header_beside_library() {
	printf '#include <mmngr_user_public.h>\n#include "mmngr-to-dma-heap.h"\n' >"$tmp/beside.c"
	! compile -I"$here/fake" -c -o "$tmp/object" "$tmp/beside.c" 2>"$tmp/errors" &&
		grep -q 'mmngr: include mmngr-to-dma-heap.h instead' "$tmp/errors"
}

# Where it differs from the library, with the stand-in for the heaps
header_differs() {
	compile "${wrap[@]}" -o "$tmp/header" "$here/header.c" \
		"$here/fake/heap.c" || return
	# shellcheck disable=SC2086 # a command and its arguments
	FAKE_LOG=/dev/null $runner "$tmp/header"
}

# ---- the rules of udev ----

rules_are_right() { "$udevadm" verify "$1"; }
rules_with_link() {
	sed 's/^#SUBSYSTEM/SUBSYSTEM/' "$rules" >"$tmp/60-link.rules"
	[ "$(grep -c '^SUBSYSTEM' "$tmp/60-link.rules")" -gt "$(grep -c '^SUBSYSTEM' "$rules")" ] &&
		"$udevadm" verify "$tmp/60-link.rules"
}
wrong_rules_are_found() {
	sed 's/GROUP="video"/GRUOP="video"/' "$rules" >"$tmp/60-wrong.rules"
	! "$udevadm" verify "$tmp/60-wrong.rules"
}

# ---- main ----

command -v "$spatch" >/dev/null || { echo "Bail out! no $spatch: set SPATCH"; exit 1; }
command -v "$cc" >/dev/null || { echo "Bail out! no $cc: set CC"; exit 1; }
echo "# $("$spatch" --version | head -n 1)"
echo "# $("$cc" --version | head -n 1)"

can_run=true
printf 'int main(void) { return 0; }\n' >"$tmp/try.c"
compile -o "$tmp/try" "$tmp/try.c" || { echo "Bail out! $cc makes no programs"; exit 1; }
# shellcheck disable=SC2086 # a command and its arguments
$runner "$tmp/try" 2>/dev/null || can_run=false
[ -z "$build" ] || {
	mkdir -p "$build/original" "$build/ported"
	cp "$here/compare.sh" "$build"
}

if [ ${#chosen[@]} -eq 0 ]; then
	check 'each program is in the file "expected"' all_expected
	check 'header: compiles by itself, twice, and as ISO C' header_alone
	check 'header: does not go with those of libmmngr' header_beside_library
	if $can_run; then
		check 'header: does what it should where libmmngr did something else' header_differs
	else
		skip 'header: does what it should where libmmngr did something else' 'no RUNNER'
	fi
	check 'list: each line has a name, a kind, a header and a replacement' list_is_whole
	check 'list: has all names of the programs, the semantic patch and the header' list_has_ours
	check 'list: each replacement exists' replacements_exist
	if [ -n "${MMNGR_HEADERS:-}" ]; then
		check 'list: has all names of the real headers' list_has_real
	else
		skip 'list: has all names of the real headers' 'MMNGR_HEADERS is not set'
	fi
	check 'guide: mentions each name of the list' guide_mentions_all
	check 'guide: mentions each function of the header' guide_mentions_ours
	check 'guide: explains each message of the compiler' guide_explains_messages
	check 'guide: explains what the driver says in the kernel log' guide_explains_log
	check 'guide: its links lead somewhere' links_lead_somewhere
	check 'guide: the patches that it names are there' patches_are_there
	check 'boards: the regions fit the memory' boards_fit
	if command -v "$dtc" >/dev/null; then
		check 'boards: the nodes compile' boards_compile
	else
		skip 'boards: the nodes compile' "no $dtc"
	fi
	if "$udevadm" verify --help >/dev/null 2>&1; then
		check 'udev: the rules are right' rules_are_right "$rules"
		check 'udev: so they are with the optional link' rules_with_link
		check 'udev: wrong ones would be found' wrong_rules_are_found
	else
		skip 'udev: the rules are right' 'no udevadm of systemd 254 or newer'
	fi
fi

while IFS='|' read -r program what cc_options spatch_options; do
	if [ ${#chosen[@]} -eq 0 ] || [[ " ${chosen[*]} " == *" $program "* ]]; then
		test_program "$program" "$what" "$cc_options" "$spatch_options"
	fi
done < <(programs)

echo "1..$count"
exit "$failed"
