# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# For scripts to source: what a machine needs before ferry can be built and shown on it.

BUILD_PACKAGES='meson ninja-build pkg-config gcc libc6-dev libdpdk-dev libjansson-dev libpcap-dev
libevent-dev libedit-dev libssl-dev'
GUEST_PACKAGES='qemu-system-x86 cpio iproute2 python3'
TEST_PACKAGES='dpdk-dev iputils-ping tshark'

HUGEPAGES=/sys/kernel/mm/hugepages/hugepages-2048kB
hugepages_borrowed=0

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		sudo "$@"
	else
		return 126
	fi
}

packages_missing() {
	local package

	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}\n' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
	done
}

# Lists of packages that were fetched within the last day are taken as they are.
packages_update() {
	if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 -print -quit 2>/dev/null)" ]; then
		as_root apt-get -qq update
	fi
}

packages_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
}

# Installs those of the packages that are missing; its output goes to the file $1.
packages_need() {
	local log=$1 missing
	shift

	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if ! as_root true; then
		echo "These packages are missing and only root can install them: $missing" >&2
		echo "Run this as root, or: apt-get install $missing" >&2
		return 1
	fi
	echo "Installing $missing"
	# shellcheck disable=SC2086
	{ packages_update && { packages_install $missing || { as_root apt-get -qq update && packages_install $missing; }; }; } \
		>>"$log" 2>&1 </dev/null || {
		echo "apt-get failed; the end of $log:" >&2
		tail -n 15 "$log" >&2
		return 1
	}
}

# Reserves up to $1 hugepages of 2 MB beyond those that are free, or says what it costs to have none.
hugepages_borrow() {
	local want=$1 free before after

	free=$(cat $HUGEPAGES/free_hugepages 2>/dev/null || echo 0)
	[ "$free" -lt "$want" ] || return 0
	before=$(cat $HUGEPAGES/nr_hugepages 2>/dev/null || echo 0)
	if [ "$(awk '/^MemAvailable/ { print int($2 / 2048) }' /proc/meminfo)" -gt $((want * 6)) ]; then
		echo $((before + want - free)) | as_root tee $HUGEPAGES/nr_hugepages >/dev/null 2>&1 || true
	fi
	after=$(cat $HUGEPAGES/nr_hugepages 2>/dev/null || echo 0)
	hugepages_borrowed=$((after - before))
	if [ "$(cat $HUGEPAGES/free_hugepages 2>/dev/null || echo 0)" -lt "$want" ]; then
		echo "Fewer than $want hugepages: ferryd runs on ordinary pages, with more TLB misses per frame."
	fi
}

hugepages_return() {
	local now

	[ "$hugepages_borrowed" -gt 0 ] || return 0
	now=$(cat $HUGEPAGES/nr_hugepages)
	echo $((now - hugepages_borrowed)) | as_root tee $HUGEPAGES/nr_hugepages >/dev/null 2>&1 || true
	hugepages_borrowed=0
}
