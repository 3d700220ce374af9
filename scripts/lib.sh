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
	local label=$1 limit=$2 log=$3 start=$SECONDS status=0 pid next=30
	shift 3
	mkdir -p "$(dirname "$log")"
	say "$label ..."
	set -m # a process group of its own, so that it can be ended whole
	("$@") >"$log" 2>&1 </dev/null 9>&- &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # this very pid
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.1
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
# Prints the file to use as APT_CONFIG. The index is refreshed once a day.
apt_root() {
	local name=$1 arch=$2 suite dir conf
	shift 2
	dir=$cache/apt/$name
	conf=$dir/apt.conf
	mkdir -p "$dir"/{lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d}
	: >"$dir/status.new"
	[ -e "$dir/status" ] || mv "$dir/status.new" "$dir/status"
	rm -f "$dir/status.new"
	for suite; do
		printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$arch" \
			/usr/share/keyrings/debian-archive-keyring.gpg "$(mirror)" "$suite"
	done >"$dir/sources.list"
	cat >"$conf" <<-CONF
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
	if [ -z "$(find "$dir/updated" -mmin -1440 2>/dev/null)" ] ||
	   ! cmp -s "$dir/sources.list" "$dir/updated"; then
		APT_CONFIG=$conf run "apt-get update ($name)" 600 "$dir/update.log" \
			apt-get -q update
		cp "$dir/sources.list" "$dir/updated"
	fi
	printf '%s\n' "$conf"
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
	local repo deb conf src
	need git xz-utils
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
	conf=$(apt_root kernel "$(dpkg --print-architecture)" trixie-backports)
	src=$(APT_CONFIG=$conf apt-cache show --no-all-versions \
		"linux-source-$base_version" | awk '$1 == "Version:" && !n++ { print $2 }')
	[ -n "$src" ] || die "$(mirror) has no linux-source-$base_version in trixie-backports"
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
	kgit init -q -b base .
	kgit add -A -f .
	GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date kgit commit -q -m "$2"
	kgit update-ref refs/rcar/base HEAD
	kgit checkout -q --detach
}

# The patches, in order, as git am wants them.
series_files() { find "$top/patches" -maxdepth 1 -name '0*.patch' 2>/dev/null | sort; }

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
		if ! kgit -C "$am" am -q "${files[@]}" >"$cache/log/am.log" 2>&1; then
			cat "$cache/log/am.log" >&2
			kgit -C "$repo" worktree remove -f "$am"
			die "patches/ does not apply to $(kgit -C "$repo" log -1 --format=%s "$base")"
		fi
		kgit -C "$repo" update-ref "$ref" "$(kgit -C "$am" rev-parse HEAD)"
		kgit -C "$repo" worktree remove -f "$am"
	fi
	kgit -C "$repo" rev-parse "$ref"
}
