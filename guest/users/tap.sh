# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# TAP for the shell scripts here. Sourced.

count=0
failed=0

# check NAME COMMAND...: what it prints is diagnosis
check() {
	name=$1
	shift
	count=$((count + 1))
	if "$@" >/tmp/said 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' /tmp/said
		failed=1
	fi
}

# use_gstreamer SHARE PLUGIN...: these of GStreamer's plugins, so that the first to look
# at them need not look at 250, and ours, which SHARE has
use_gstreamer() {
	export GST_PLUGIN_SYSTEM_PATH=/tmp/plugins GST_PLUGIN_PATH="$1/gst" GST_REGISTRY=/tmp/registry
	shift
	mkdir "$GST_PLUGIN_SYSTEM_PATH"
	for plugin; do
		ln -s "/usr/lib/aarch64-linux-gnu/gstreamer-1.0/libgst$plugin.so" "$GST_PLUGIN_SYSTEM_PATH"
	done
}

finish() {
	echo "1..$count"
	exit "$failed"
}

# as_user GROUPS COMMAND...: by somebody who is not root, in these groups ("" is none)
as_user() {
	groups=$1
	shift
	if [ -n "$groups" ]; then
		setpriv --reuid 1000 --regid 1000 --groups "$groups" "$@"
	else
		setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
	fi
}

# prints WORDS COMMAND...: whether it does; the whole is diagnosis
prints() {
	words=$1
	shift
	text=$("$@" 2>&1) || true
	echo "$text"
	case $text in *"$words"*) ;; *) return 1 ;; esac
}

# fails WORDS COMMAND...: it does, and says so
fails() {
	words=$1 status=0
	shift
	text=$("$@" 2>&1) || status=$?
	echo "status $status: $text"
	[ "$status" -ne 0 ] || return 1
	case $text in *"$words"*) ;; *) return 1 ;; esac
}
