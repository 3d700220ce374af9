# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # the verbs use what is set here
#
# What every verb in scripts/ shares: messages, the cache folder, packages of
# the host, and private apt roots. Sourced, never run.

set -eu -o pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RCAR_CMA_HEAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rcar-cma-heap}
verb=${0##*/}
jobs=${JOBS:-$(nproc)}

export LC_ALL=C.UTF-8
# Git sets these for its hooks, from where a verb may well be called.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY \
	GIT_PREFIX GIT_EXTERNAL_DIFF GIT_DIFF_OPTS
export DEBIAN_FRONTEND=noninteractive

# Progress and errors go to stderr: stdout belongs to the result of a verb.
say()  { printf '%s: %s\n' "$verb" "$*" >&2; }
die()  { printf '%s: error: %s\n' "$verb" "$*" >&2; exit 1; }
usage_error() { printf '%s: %s\n%s: try --help\n' "$verb" "$*" "$verb" >&2; exit 2; }

# The comment at the head of a verb is its help text.
show_help() {
	awk 'NR > 1 && !/^#/ { exit } NR > 2 && !/^# SPDX/ { sub(/^# ?/, ""); print }' "$0"
}

# sha of what is read from stdin, short enough for a path
key_of() { sha256sum | cut -c1-16; }

# run LABEL SECONDS LOG COMMAND...
# A long command or function: output to LOG, a line of progress at the start and
# the end and every 30 seconds between, ended with its children after SECONDS.
run() {
	local label=$1 limit=$2 log=$3 start=$SECONDS status=0 pid next=30 never
	shift 3
	mkdir -p "$(dirname "$log")"
	say "$label ..."
	set -m # a process group of its own, so that it can be ended whole
	("$@") >"$log" 2>&1 </dev/null 6>&- 7>&- 9>&- &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # this very pid
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM
	exec {never}<> <(:) # which nothing is read from: time passes without a process
	while kill -0 "$pid" 2>/dev/null; do
		read -r -t 0.1 -u "$never" || true
		if [ $((SECONDS - start)) -ge "$limit" ]; then
			kill -- "-$pid" 2>/dev/null || true
			say "$label: stopped after its limit of $limit s"
			break
		fi
		[ $((SECONDS - start)) -lt "$next" ] || {
			say "$label: $((SECONDS - start)) s: $(tail -n 1 "$log" | cut -c1-100)"
			next=$((next + 30))
		}
	done
	exec {never}>&-
	wait "$pid" || status=$?
	trap - INT TERM
	if [ "$status" -ne 0 ]; then
		tail -n 30 "$log" >&2
		say "$label: failed with status $status, the whole log is $log"
		return "$status"
	fi
	say "$label: $((SECONDS - start)) s"
}

# need PACKAGE...: install what the host lacks
need() {
	local p missing=()
	for p; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null |
			grep -qx installed || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] ||
		die "missing packages; as root: apt-get install ${missing[*]}"
	# Two verbs at once must not fail on the lock of dpkg.
	local apt=(apt-get -q -y -o DPkg::Lock::Timeout=600 --no-install-recommends)
	mkdir -p "$cache/log"
	run "apt-get install ${missing[*]}" 1200 "$cache/log/apt-install-$$.log" \
		"${apt[@]}" install "${missing[@]}" && return 0
	# An index that is missing or old is the usual reason.
	run "apt-get update" 600 "$cache/log/apt-update-$$.log" "${apt[@]}" update
	run "apt-get install ${missing[*]}" 1200 "$cache/log/apt-install-$$.log" \
		"${apt[@]}" install "${missing[@]}"
}

# The Debian mirror this machine already uses; RCAR_CMA_HEAP_MIRROR overrides it.
mirror() {
	local uri=${RCAR_CMA_HEAP_MIRROR:-}
	[ -n "$uri" ] || uri=$(apt_mirror)
	if [ -z "$uri" ] && [ "$(id -u)" -eq 0 ]; then
		apt-get -qq update >&2 || true # a fresh machine has no index yet
		uri=$(apt_mirror)
	fi
	[ -n "$uri" ] ||
		die "apt knows no Debian mirror; set RCAR_CMA_HEAP_MIRROR to its address"
	printf '%s\n' "${uri%/}"
}

apt_mirror() {
	# shellcheck disable=SC2016 # names of apt, not of the shell
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 2>/dev/null |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" && !n++ { print $3 }'
}

# apt_root NAME ARCH SUITE...: a private apt configuration with its own index
# and archive, so that the host's packages and architectures do not matter.
# A SUITE written src:NAME gives its sources.
# Prints the file to use as APT_CONFIG. The index is refreshed once a day.
apt_root() {
	local name=$1 arch=$2 suite kind dir conf dated
	shift 2
	dir=$cache/apt/$name
	conf=$dir/apt.conf
	mkdir -p "$dir"/{lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d}
	# Two verbs may want the same index; the caller's $( ) ends with the lock.
	exec 6>"$dir/lock"
	flock 6
	[ -e "$dir/status" ] || : >"$dir/status"
	for suite; do
		kind=deb
		[ "$suite" = "${suite#src:}" ] || kind='deb-src'
		dated= # the index of these expires, but a mirror may well be frozen
		case ${suite#src:} in sid|experimental) dated=' check-valid-until=no' ;; esac
		printf '%s [arch=%s signed-by=%s%s] %s %s main\n' "$kind" "$arch" \
			/usr/share/keyrings/debian-archive-keyring.gpg "$dated" \
			"$(mirror)" "${suite#src:}"
	done >"$dir/sources.list.new"
	mv "$dir/sources.list.new" "$dir/sources.list"
	cat >"$conf.new" <<-CONF
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Dir::State "$dir";
		Dir::State::Lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Dir::Cache::Archives "$dir/archives";
		Dir::Etc "$dir/etc";
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
	CONF
	mv "$conf.new" "$conf"
	if [ -z "$(find "$dir/updated" -mmin -1440 2>/dev/null)" ] ||
	   ! cmp -s "$dir/sources.list" "$dir/updated"; then
		rm -f "$dir/updated" # an update that fails leaves no index
		APT_CONFIG=$conf run "apt-get update ($name)" 600 "$dir/update.log" \
			apt-get -q update
		cp "$dir/sources.list" "$dir/updated"
	fi
	printf '%s\n' "$conf"
}

# foreign_root NAME SUITE PACKAGE...: print the folder in which these packages of
# another release of Debian are unpacked, with all that they depend on, down to the
# C library; made when missing. One written =PACKAGE comes alone. Nothing is
# installed on this machine.
foreign_root() {
	local name=$1 suite=$2 base=$cache/foreign/$1 conf
	mkdir -p "$base"
	exec 6>"$base/lock" # as in apt_root
	flock 6
	if [ "$(cat "$base/done" 2>/dev/null)" != "$*" ]; then
		conf=$(apt_root "$name" "$(dpkg --print-architecture)" "$suite")
		rm -rf "$base"/{debs,root}
		run "unpacking $name of Debian $suite" 600 "$cache/log/$name.log" \
			unpack_foreign "$conf" "$base" "${@:3}"
		printf '%s\n' "$*" >"$base/done"
	fi
	printf '%s\n' "$base/root"
}

unpack_foreign() {
	local conf=$1 base=$2 names=() complete=() all name deb
	shift 2
	for name; do
		case $name in =*) names+=("${name#=}") ;; *) complete+=("$name") ;; esac
	done
	if [ ${#complete[@]} -gt 0 ]; then
		all=$(APT_CONFIG=$conf apt-get -qq -s install "${complete[@]}")
		mapfile -t -O ${#names[@]} names < <(awk '/^Inst / { print $2 }' <<<"$all")
	fi
	mkdir -p "$base/debs" "$base"/root/usr/{bin,lib,lib64,sbin}
	ln -s usr/{bin,lib,lib64,sbin} "$base/root"
	cd "$base/debs"
	APT_CONFIG=$conf apt-get -q download "${names[@]}"
	for deb in *.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$base/root"
	done
	rm -rf "$base/debs"
}

# wrap_foreign FILE ROOT PROGRAM [NAME=VALUE]... [-- ARGUMENT...]: make FILE a
# command that runs a program of such a folder, by its own loader and libraries
wrap_foreign() {
	local file=$1 root=$2 program loader env=()
	program=$(readlink -f "$root/usr/bin/$3")
	loader=$(find "$root"/usr/lib/*-linux-gnu/ -maxdepth 1 -name 'ld-linux*.so.*')
	shift 3
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		env+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	mkdir -p "$(dirname "$file")"
	{
		printf '#!/bin/sh\nexec'
		printf ' "%s"' env "${env[@]}" "$loader" --library-path "${loader%/*}" \
			--argv0 "$program" "$program" "$@"
		printf ' "$@"\n'
	} >"$file.new"
	chmod +x "$file.new"
	mv "$file.new" "$file"
}

# newer_spatch: print the path of Coccinelle's spatch as trixie has it, which knows the C
# of today; it looks for a Python to link with
newer_spatch() {
	local root dir lib
	root=$(foreign_root coccinelle trixie coccinelle libpython3.13)
	dir=${root%/*}/bin
	lib=$(find "$root/usr/lib" -name libpython3.13.so.1.0)
	ln -sf "${lib##*/}" "${lib%.1.0}"
	wrap_foreign "$dir/python3" "$root" python3 "PYTHONHOME=$root/usr" PYTHONNOUSERSITE=1
	wrap_foreign "$dir/spatch" "$root" spatch "PATH=$dir:/usr/bin:/bin" "PYTHONHOME=$root/usr" \
		"COCCINELLE_HOME=$root/usr/lib/coccinelle"
	printf '%s\n' "$dir/spatch"
}

# ---- the kernel: base, and the series on top of it ----

base_version=7.3
export GIT_AUTHOR_NAME='R-Car CMA heap project' GIT_AUTHOR_EMAIL=rcar-cma-heap@example.org
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL

# Git as the series needs it: the user's own configuration must change nothing.
kgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git \
		-c core.abbrev=12 -c diff.algorithm=myers -c gc.auto=0 \
		-c advice.detachedHead=false -c commit.gpgSign=false "$@"
}

# Print the git repository that holds the base as the ref refs/rcar/base, made
# when missing: from Debian's package of the kernel source, or a clone of $KDIR,
# which itself is only read.
kernel_repo() {
	local repo deb conf src version
	need git xz-utils
	mkdir -p "$cache/linux"
	# As in apt_root
	exec 7>"$cache/linux/lock"
	flock 7
	if [ -n "${KDIR:-}" ]; then
		git -C "$KDIR" rev-parse --verify -q HEAD >/dev/null ||
			die "KDIR=$KDIR is not a git tree of Linux with a commit"
		src=$(cd "$KDIR" && pwd)
		repo=$cache/linux/kdir-$(printf '%s' "$src" | key_of)
		[ -d "$repo/.git" ] ||
			run "clone of $src" 1800 "$cache/log/clone.log" \
				kgit clone --shared --no-checkout "$src" "$repo"
		kgit -C "$repo" fetch -q --no-tags "$src" HEAD:refs/rcar/new-base --force
		kgit -C "$repo" update-ref refs/rcar/base refs/rcar/new-base
		printf '%s\n' "$repo"
		return
	fi
	# Which version the mirror has is asked once a day.
	version=$cache/linux/version
	conf=$cache/apt/kernel/apt.conf
	if [ -z "$(find "$version" -mmin -1440 2>/dev/null)" ]; then
		conf=$(apt_root kernel "$(dpkg --print-architecture)" trixie-backports)
		APT_CONFIG=$conf apt-cache show --no-all-versions "linux-source-$base_version" |
			awk '$1 == "Version:" && !n++ { print $2 }' >"$version.new"
		[ -s "$version.new" ] ||
			die "$(mirror) has no linux-source-$base_version in trixie-backports"
		mv "$version.new" "$version"
	fi
	src=$(cat "$version")
	repo=$cache/linux/debian-${src%%-*}
	if ! kgit -C "$repo" rev-parse --verify -q refs/rcar/base >/dev/null 2>&1; then
		rm -rf "$repo"
		mkdir -p "$repo"
		(cd "$repo" && APT_CONFIG=$conf run "download of linux-source-$base_version $src" \
			1200 "$cache/log/linux-source.log" \
			apt-get -q download "linux-source-$base_version=$src")
		deb=$(ls "$repo"/*.deb)
		run "unpacking linux-source-$base_version" 900 "$cache/log/unpack.log" \
			unpack_source "$deb" "$repo"
		rm "$deb"
		run "import of Linux into git" 900 "$cache/log/import.log" \
			import_base "$repo" "Linux, as Debian's linux-source-$base_version has it"
	fi
	printf '%s\n' "$repo"
}

unpack_source() {
	dpkg-deb --fsys-tarfile "$1" |
		tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		xz -dc -T0 | tar -x -C "$2" --strip-components=1
}

# The same content gives the same commit everywhere.
import_base() {
	local date='2026-01-01T00:00:00Z'
	cd "$1" || return
	# Debian's packaging has git ignore the whole tree.
	sed -i '/^# Debian packaging/,$d' .gitignore
	kgit init -q -b base .
	kgit add -A -f .
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date kgit commit -q -m "$2"
	kgit update-ref refs/rcar/base HEAD
	kgit checkout -q --detach
}

# The patches, in order, as git am wants them.
patches=$top/patches
series_files() { find "$patches" -maxdepth 1 -name '0*.patch' 2>/dev/null | sort; }

# apply_series REPO: print the commit of the base with the series applied.
# git am works in a worktree that holds only the files the patches touch, so
# that no time stamp of the tree that gets built moves without need.
apply_series() {
	local repo=$1 base key ref am files
	base=$(kgit -C "$repo" rev-parse refs/rcar/base)
	mapfile -t files < <(series_files)
	[ ${#files[@]} -gt 0 ] || { printf '%s\n' "$base"; return; }
	key=$( (printf '%s\n' "$base"; cat "${files[@]}") | key_of)
	ref=refs/rcar/series-$key
	if ! kgit -C "$repo" rev-parse --verify -q "$ref" >/dev/null; then
		am=$repo.am-$key
		rm -rf "$am"
		kgit -C "$repo" worktree prune
		kgit -C "$repo" worktree add -q --no-checkout --detach "$am" "$base"
		kgit -C "$am" read-tree "$base"
		if ! kgit -C "$am" am -q --committer-date-is-author-date "${files[@]}" >"$cache/log/am.log" 2>&1; then
			cat "$cache/log/am.log" >&2
			kgit -C "$repo" worktree remove -f "$am"
			die "patches/ does not apply to $(kgit -C "$repo" log -1 --format=%s "$base")"
		fi
		kgit -C "$repo" update-ref "$ref" "$(kgit -C "$am" rev-parse HEAD)"
		kgit -C "$repo" worktree remove -f "$am"
	fi
	kgit -C "$repo" rev-parse "$ref"
}

# ---- other states of the kernel, other versions, and its configuration ----

# tree_state TREE: its commit, and what an edit of it has made of that
tree_state() {
	local tree=$1 edits
	edits=$(kgit -C "$tree" diff HEAD)
	kgit -C "$tree" rev-parse HEAD
	[ -z "$edits" ] || {
		printf '%s\n' "$edits"
		kgit -C "$tree" ls-files -z --others --exclude-standard |
			(cd "$tree" && xargs -0r sha256sum)
	}
}

# go_through REPO COMMIT: bring a second checkout, REPO.steps, to this commit, so that
# nothing moves that somebody works on. REPO.steps.lock is the caller's to take.
go_through() {
	local repo=$1 steps=$1.steps
	if [ ! -e "$steps/.git" ]; then
		rm -rf "$steps"
		kgit -C "$repo" worktree prune
		kgit -C "$repo" worktree add -q --no-checkout --detach "$steps" refs/rcar/base
		run "second checkout of the kernel" 600 "$cache/log/steps.log" \
			kgit -C "$steps" reset -q --hard
	fi
	kgit -C "$steps" checkout -q --force --detach "$2"
}

# named_version: the oldest kernel that the series applies to, as the README says
named_version() {
	sed -nE 's/.*applies to Linux ([0-9]+\.[0-9]+).*/\1/p' "$top/README.md" | head -n 1
}

# versions_of CONF: all versions of the kernel's source that the archive lists,
# newest first
versions_of() {
	APT_CONFIG=$1 apt-cache showsrc --only-source linux |
		awk '$1 == "Version:" { print $2 }' | sort -urV
}

# older_than X.Y: of these versions, those of releases before it
older_than() {
	awk -v than="$1" '
		{ split($0, v, /[.~-]/); split(than, t, ".") }
		v[1] + 0 < t[1] + 0 || (v[1] == t[1] && v[2] + 0 < t[2] + 0)
	'
}

# not_older_than X.Y: the others
not_older_than() {
	local all
	all=$(cat)
	comm -23 <(sort <<<"$all") <(older_than "$1" <<<"$all" | sort) | sort -rV
}

# source_of CONF VERSION...: fetch the first of these that the archive really
# has, since its index names some that are gone; print where it is
source_of() {
	local conf=$1 version dir
	shift
	for version; do
		dir=$cache/sources/linux-$version
		mkdir -p "$dir"
		if [ -z "$(ls "$dir"/*.orig.tar.xz 2>/dev/null)" ]; then
			(cd "$dir" && APT_CONFIG=$conf run "download of the source of Linux $version" 900 \
				"$dir/log" apt-get -q source --download-only --tar-only "linux=$version") 2>"$dir/run" || {
				say "no source of Linux $version: $(grep -m 1 -A 1 '^Err' "$dir/log" | tr '\n' ' ')"
				rm -r "$dir"
				continue
			}
		fi
		echo "$dir"
		return
	done
	return 1
}

# patched_source SOURCE: the whole tree of that kernel, unpacked when missing, with
# the series applied, in SOURCE/tree
patched_source() {
	local dir=$1/tree
	if [ ! -e "$1/complete" ]; then
		rm -rf "$dir"
		mkdir "$dir"
		run "unpacking all of ${1##*/}" 600 "$1/log" unpack_kernel "$1"/*.orig.tar.xz "$dir" || return
		touch "$1/complete"
	fi
	kgit -C "$dir" reset -q --hard && kgit -C "$dir" clean -fdq &&
		kgit -C "$dir" apply "$patches"/*.patch
}

unpack_kernel() {
	xz -dc -T0 "$1" | tar -x -C "$2" --strip-components=1 && commit_all "$2"
}

commit_all() {
	kgit -C "$1" init -q && kgit -C "$1" add -A -f && kgit -C "$1" commit -q -m base
}

# merge_fragments FILE...: of two lines for one symbol the last counts
merge_fragments() {
	awk '
		/^# CONFIG_.* is not set$/ { last[$2] = $0 }
		/^CONFIG_/ { s = $0; sub(/=.*/, "", s); last[s] = $0 }
		END { for (s in last) print last[s] }' "$@"
}

# check_config CONFIG FRAGMENT: every value asked for must have taken
check_config() {
	local want wrong=0
	while read -r want; do
		case $want in
		*=n) ! grep -q "^${want%n}" "$1" && continue ;;
		*) grep -qxF "$want" "$1" && continue ;;
		esac
		echo "$want was asked for, $1 has: $(grep -w "${want%%=*}" "$1" || echo nothing)"
		wrong=1
	done < <(sed 's/^# \(CONFIG_.*\) is not set$/\1=n/' "$2")
	return "$wrong"
}

# ---- the view: what the series adds, shown at the top level ----

# Folder here, folder in the kernel tree. The first match counts, so the inner
# folders of another one come before it.
view_table='kunit/ drivers/dma-buf/heaps/tests/
drivers/dma-buf/heaps/ drivers/dma-buf/heaps/
dt-bindings/ Documentation/devicetree/bindings/
Documentation/ Documentation/
tools/testing/selftests/dmabuf-heaps/ tools/testing/selftests/dmabuf-heaps/'
view_entry=MAINTAINERS.fragment # stands for the entry added to MAINTAINERS

# in_kernel PATH: the path in the kernel tree of a path in the view
in_kernel() {
	awk -v path="$1" '
		index(path, $1) == 1 { print $2 substr(path, length($1) + 1); exit }
	' <<<"$view_table"
}

# in_view: of the paths in the kernel tree on stdin, those that the view shows,
# as "PATH-IN-VIEW PATH-IN-KERNEL"
in_view() {
	awk '
		NR == FNR { here[NR] = $1; there[NR] = $2; n = NR; next }
		{
			for (i = 1; i <= n; i++)
				if (index($0, there[i]) == 1) {
					print here[i] substr($0, length(there[i]) + 1), $0
					next
				}
		}
	' <(printf '%s\n' "$view_table") -
}

# view_files REPO COMMIT: what the view of a series holds, as "VIEW KERNEL"
view_files() {
	kgit -C "$1" diff --name-only --no-renames --diff-filter=A refs/rcar/base "$2" | in_view
}

# view_on_disk DIR: the files of the view that are there, as paths in the view
view_on_disk() ( # in a shell of its own, for the cd
	local dirs=("$view_entry")
	mapfile -t -O 1 dirs < <(awk '{ print $1 }' <<<"$view_table")
	cd "$1" || return
	{ find "${dirs[@]}" -type f ! -name '*~' ! -name '.*.sw?' 2>/dev/null || true; } |
		sort -u
)

# entry_lines REPO COMMIT: first and last line of the entry that the series adds
# to MAINTAINERS: whole paragraphs in which every line is new
entry_lines() {
	kgit -C "$1" diff -U0 refs/rcar/base "$2" -- MAINTAINERS | awk '
		NR == FNR {
			if ($1 == "@@") {
				split(substr($3, 2), at, ",")
				count = at[2] == "" ? 1 : at[2]
				for (i = 0; i < count; i++)
					added[at[1] + i]
			}
			next
		}
		function paragraph_ends() {
			if (start && whole) {
				print start, last
			}
			start = 0
		}
		/^$/ { paragraph_ends(); next }
		!start { start = FNR; whole = 1 }
		{ last = FNR; if (!(FNR in added)) whole = 0 }
		END { paragraph_ends() }
	' - <(kgit -C "$1" show "$2:MAINTAINERS")
}

# entry_of REPO COMMIT: the text of that entry
entry_of() {
	local first last
	read -r first last < <(entry_lines "$1" "$2") || return 0
	kgit -C "$1" show "$2:MAINTAINERS" | sed -n "${first},${last}p"
}

# write_view REPO COMMIT DIR: put the view of a series into DIR
write_view() {
	local repo=$1 commit=$2 dir=$3 here there
	while read -r here there; do
		mkdir -p "$dir/$(dirname "$here")"
		kgit -C "$repo" show "$commit:$there" >"$dir/$here"
		case $(kgit -C "$repo" ls-tree "$commit" -- "$there") in
		100755*) chmod +x "$dir/$here" ;;
		esac
	done < <(view_files "$repo" "$commit")
	entry_of "$repo" "$commit" >"$dir/$view_entry"
	[ -s "$dir/$view_entry" ] || rm "$dir/$view_entry"
}

# ---- export of the series as patches ----

# The cover letter is written by hand down to this line and by scripts/fold from
# here on.
cover_mark='Patches and files'

# export_series REPO COMMIT DIR [COVER]: write the patches of a series into DIR,
# and the cover letter whose upper part is that of the file COVER. Nothing in
# the output depends on the time, the user, or the version of git.
export_series() {
	local repo=$1 commit=$2 dir=$3 cover=${4:-}
	mkdir -p "$dir"
	kgit -C "$repo" format-patch -q -o "$dir" --numbered --zero-commit \
		--no-signature --abbrev=12 --no-renames --no-thread --no-attach \
		--no-cover-letter --no-base --no-notes --no-ext-diff --no-color \
		--no-encode-email-headers --filename-max-length=64 --stat=72 \
		--summary -p --src-prefix=a/ --dst-prefix=b/ "refs/rcar/base..$commit"
	{
		[ -z "$cover" ] || [ ! -e "$cover" ] || cover_by_hand "$cover"
		printf '%s\n\n' "$cover_mark"
		kgit -C "$repo" shortlog -w72,2,4 "refs/rcar/base..$commit"
		kgit -C "$repo" diff --no-renames --no-ext-diff --no-color --stat=72 \
			--summary refs/rcar/base "$commit"
		printf '\nbase: Linux %s\nbase-tree: %s\n' "$(version_of "$repo" refs/rcar/base)" \
			"$(kgit -C "$repo" rev-parse 'refs/rcar/base^{tree}')"
	} >"$dir/0000-cover-letter.txt"
}

# version_of REPO COMMIT: the version of Linux, as its Makefile says
version_of() {
	kgit -C "$1" show "$2:Makefile" | awk -F' = ' '
		NF == 2 && FNR < 9 { v[$1] = $2 }
		END { print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] }
	'
}

cover_by_hand() { awk -v mark="$cover_mark" '$0 == mark { exit } { print }' "$1"; }

# ---- another source in the driver's place ----

driver=drivers/dma-buf/heaps/rcar_cma_heap.c

# replace_source BUILD FILE SOURCE: make looks for a file in its build folder first
replace_source() {
	mkdir -p "$(dirname "$1/$2")"
	cmp -s "$3" "$1/$2" || cp "$3" "$1/$2"
}

# copy_build BUILD LOCK COPY: no path in a kernel's build folder is its own, so that
# a copy is as good as a build
copy_build() ( # a shell of its own, which ends with the lock
	exec 5>"$2"
	flock 5
	[ -e "$1/vmlinux" ] || return 0
	rm -rf "$3.new"
	cp -a "$1" "$3.new"
	rm -rf "$3"
	mv "$3.new" "$3"
)

# compile_driver BUILD SOURCE OBJECT: as the kernel in this build folder was
# compiled, with SOURCE in the driver's place; what gcc says is printed
compile_driver() {
	local build=$1 dir file command
	dir=$(dirname "$driver") file=$(basename "$driver" .c)
	command=$(sed -n 's/^savedcmd_[^ ]* := //p' "$build/$dir/.$file.o.cmd" |
		sed -E 's/ -Wp,-MMD,[^ ]*//; s/ -include [^ ]*\/guest\/faults\/[^ ]*//; s/ -o .*//')
	[ -n "$command" ] || { echo "$build has no driver"; return 1; }
	( # a shell of its own, which ends with the lock
		exec 9>"$build/../lock"
		flock -s 9
		cd "$build" && eval "$command" -o '"$3"' -x c '"$2"' 2>&1
	)
}

# ---- what test groups share ----

# The options that compile what the series touches. Those that a patch does not
# know yet fall away.
touched_options='CONFIG_ARCH_RENESAS=y
CONFIG_CMA=y
CONFIG_DEBUG_FS=y
CONFIG_DMABUF_HEAPS=y
CONFIG_DMABUF_HEAPS_CMA=y
CONFIG_DMABUF_HEAPS_RCAR_CMA=y
CONFIG_DMABUF_HEAPS_RCAR_CMA_KUNIT_TEST=y
CONFIG_DMABUF_HEAPS_SYSTEM=y
CONFIG_DMA_CMA=y
CONFIG_KUNIT=y
CONFIG_TRANSPARENT_HUGEPAGE=y'

# once KEY COMMAND...: a success is remembered, by all that it depends on
once() {
	local mark=$cache/once/$1
	shift
	[ ! -e "$mark" ] || return 0
	mkdir -p "$cache/once"
	"$@" && touch "$mark"
}

# findings_of REGEX LOG PATH...: the lines like that about these files, without
# line numbers, since a patch moves what Linux is warned of already
findings_of() {
	local regex=$1 log=$2
	shift 2
	printf '%s\n' "$@" | awk -v log_file="$log" -v regex="$regex" '
		{ want[$0] }
		END {
			while ((getline line < log_file) > 0) {
				if (line !~ regex)
					continue
				sub(/^(Warning|warning): /, "", line)
				file = line
				sub(/:.*/, "", file)
				while (sub(/^\.\.\//, "", file))
					;
				for (path in want)
					if (file == path || index(file, "/" path)) {
						gsub(/:[0-9.:-]+/, ":", line)
						sub(/^[^:]*/, path, line)
						print line
					}
			}
		}
	' | sort -u
}

# How strictly the GStreamer plugin is built
plugin_options=(-Dwarning_level=2 -Dwerror=true -Dtests=enabled -Dexamples=enabled)

# fill_share DIR: what scripts/userspace makes, for a guest to write beside. Its user
# has to read it, where mktemp lets root alone.
fill_share() {
	local userspace
	userspace=$("$top/scripts/userspace")
	mkdir -p "$1"
	cp -r "$userspace/." "$1"
	chmod 755 "$1"
}

# ---- TAP, as a test group prints it ----

count=0 failed=0

# result STATUS NAME [FILE]: what FILE holds is shown when the test failed
result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$count" "$2"
	else
		printf 'not ok %d - %s\n' "$count" "$2"
		[ -z "${3:-}" ] || sed 's/^/# /' "$3"
		failed=1
	fi
}

# check NAME COMMAND...: whether the command or function succeeds, in a shell of
# its own; what it prints is diagnosis
check() {
	local name=$1 text status=0
	shift
	text=$("$@" 2>&1) || status=$?
	result "$status" "$name"
	[ -z "$text" ] || printf '%s\n' "$text" | sed 's/^/# /'
}

# skip REASON NAME...
skip() {
	local reason=$1 name
	shift
	for name; do
		count=$((count + 1))
		printf 'ok %d - %s # SKIP %s\n' "$count" "$name" "$reason"
	done
}

# What a kernel prints when it finds itself at fault
splats='WARNING:|BUG:|Oops|Call trace:|possible recursive locking|cut here|unreferenced object'

# What kunit.py is told of the kernel it builds. Without what no test needs, and is
# there unless it is refused, it takes three quarters of the time.
kunit_kernel=(--arch=arm64 --cross_compile=aarch64-linux-gnu- --kconfig_add=CONFIG_EXPERT=y
	--kconfig_add=CONFIG_{BLOCK,DEBUG_MISC,EFI,HW_RANDOM,INPUT,IO_URING,SUSPEND,VT}"=n")

# kunit_results JSON: those of a run of kunit.py. No result is no success, and
# neither is a test that was skipped: configurations here have all that it asks for.
kunit_results() {
	jq -r '
		def cases($prefix): (.test_cases[]? | .name = $prefix + .name),
			(.sub_groups[]? | cases($prefix + .name + ": "));
		.sub_groups[] | cases("")
		| (if .status == "PASS" then "ok" else "not ok" end) + " - " + .name' "$1"
}

# kunit_log_results LOG: what a run of the suite leaves in the kernel's log
kunit_log_results() {
	local status=0
	if grep -E "$splats" "$1" | sed 's/^/# /' | grep .; then
		echo 'not ok - the kernel found no fault in itself'
		status=1
	else
		echo 'ok - the kernel found no fault in itself'
	fi
	said "$1" 'the log names an importer that is out of reach, its mask and the region' \
		'kunit: refused to map for importer-0: mask 0x[0-9a-f]+, bus limit 0x[0-9a-f]+, region 0x[0-9a-f]+ to 0x[0-9a-f]+' ||
		status=1
	said "$1" 'the log names an importer that snoops' \
		'kunit-uncached: refused to map for importer-0, which snoops CPU caches' ||
		status=1
	return "$status"
}

# said LOG WORDS REGEX: it has such a line
said() {
	if grep -qE "$3" "$1"; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		return 1
	fi
}

# Boot a guest for one program: its output, then what became of it, for the awk
# below.
run_guest_program() {
	local status=0 options=() log='' temp
	while [ "${1#--}" != "$1" ] && [ "$1" != -- ]; do
		[ "$1" != --log ] || log=$2
		options+=("$1" "$2")
		shift 2
	done
	[ "$1" != -- ] || shift
	temp=$(mktemp)
	[ -n "$log" ] || { log=$temp; options+=(--log "$log"); }
	echo "@program $*"
	"$top/scripts/guest" --timeout 300 "${options[@]}" -- "$@" || status=$?
	echo "@status $status"
	grep -E -B 3 -A 20 "$splats" "$log" | sed 's/^/@splat /' || true
	[ -s "$log" ] || echo '@splat there is no kernel log'
	echo '@end'
	rm -f "$temp"
}

# guest_tests: run a program of the guest for each line of stdin, which is
# [OPTION VALUE]... [--] PROGRAM [ARGUMENT]... with options of scripts/guest, in
# a boot of its own, so that none finds what another one has left. Each result of
# its TAP becomes one on stdout, and three say how it ended. Status 1 when any
# failed or there was none. GUEST_JOBS of them run at once (1), and their results
# come in order all the same.
guest_tests() {
	if [ "${GUEST_JOBS:-1}" -eq 1 ]; then
		run_guest_programs | judge_guest_programs
	else
		run_guest_programs_at_once | judge_guest_programs
	fi
}

run_guest_programs() {
	local line words
	while read -r line; do
		read -r -a words <<<"$line"
		run_guest_program "${words[@]}" </dev/null
	done
}

run_guest_programs_at_once() {
	local line dir n=0 next=1 pids=()
	dir=$(mktemp -d)
	while read -r line; do
		n=$((n + 1))
		run_guest_programs <<<"$line" >"$dir/$n" &
		pids[n]=$!
		[ $((n - next)) -lt $((GUEST_JOBS - 1)) ] || show_next
	done
	while [ "$next" -le "$n" ]; do show_next; done
	rm -r "$dir"
}

show_next() {
	wait "${pids[next]}"
	cat "$dir/$next"
	next=$((next + 1))
}

judge_guest_programs() {
	awk '
	function report(passed, name) {
		printf "%s - %s: %s\n", passed ? "ok" : "not ok", program, name
		number++
		if (!passed)
			bad = 1
		fflush()
	}
	$1 == "@program" {
		program = substr($0, 10)
		results = failed = splats = 0
		plan = status = -1
		next
	}
	$1 == "@status" { status = $2; next }
	$1 == "@splat" { print "# " substr($0, 8); splats++; next }
	$1 == "@end" {
		report(results > 0 && results == plan, "all results of its plan are there")
		report(status == (failed > 0), "it ended by itself")
		report(!splats, "the kernel found no fault in itself")
		next
	}
	/^TAP version/ { next }
	/^1\.\.[0-9]+$/ { plan = substr($0, 4); next }
	/^(not )?ok [0-9]+/ {
		results++
		name = $0
		sub(/^(not )?ok [0-9]+ (- )?/, "", name)
		failed += $1 != "ok"
		report($1 == "ok", name)
		next
	}
	{ print /^#/ ? $0 : "# " $0 }
	END { exit bad || !number }'
}
