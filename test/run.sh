#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds ferry and runs its tests; says in its closing line how many passed, failed and were skipped.
set -euo pipefail

usage() {
	cat <<-USAGE
	usage: test/run.sh [--quick | --long]
	  (nothing)  unit, conform, e2e and fuzz; unit, conform and fuzz once more under the address and
	             undefined behaviour sanitizers; the unit tests of what crosses threads under
             ThreadSanitizer; the tests of the dirty log on a build with faults in it
	  --quick    unit and conform
	  --long     as with nothing, and the volume runs (suite "long")
	USAGE
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
sanitize=$top/build-sanitize
threads=$top/build-threads
faults=$top/build-faults
log=$build/setup.log
runs=()
mode=all

# ThreadSanitizer knows no fences and not what DPDK does (test/unit/tsan.supp), so these and no others.
CROSSINGS=(log cross swdev fdb worker park)
FAULTS_TARGETS='app/ferryd app/ferryctl test/tools/vmm/vmm test/e2e/guestio'

case ${1:-} in
'') ;;
--quick) mode=quick ;;
--long) mode=long ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

# shellcheck source=tools/machine.sh
. "$top/test/tools/machine.sh"
trap hugepages_return EXIT

step() {
	printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

# Configures a folder once and builds it, or only the targets that $targets names: what is left
# unsaid unless it fails goes to $log.
compile() {
	local folder=$1
	shift

	if [ ! -e "$folder/build.ninja" ]; then
		meson setup "$folder" "$top" --buildtype debugoptimized "$@" >>"$log" 2>&1 || {
			tail -n 30 "$log" >&2
			return 1
		}
	fi
	# shellcheck disable=SC2086
	ninja -C "$folder" --quiet ${targets:-}
}

# Runs some suites of a folder; how it went is told by the log, and by summary.py in the end.
suites() {
	local name=$1 folder=$2
	shift 2

	rm -f "$folder/meson-logs/$name".json "$folder/meson-logs/$name"-again-*.json
	runs+=("$name=$folder/meson-logs/$name.json")
	meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "$name" "$@" </dev/null ||
		again "$name" "$folder"
}

# Guests under software emulation on a shared machine meet deadlines that they meet otherwise: what
# failed gets a second try, one by one, and the summary names it.
again() {
	local name=$1 folder=$2 suite tests

	while read -r suite tests; do
		echo "($name, $suite: not all passed; once more: $tests)"
		# shellcheck disable=SC2086
		meson test -C "$folder" --no-rebuild --print-errorlogs --num-processes 1 \
			--logbase "$name-again-$suite" --suite "$suite" $tests </dev/null || true
	done < <(python3 "$top/test/tools/summary.py" --failed "$folder/meson-logs/$name.json")
}

mkdir -p "$build"
: >"$log"

step 'Packages'
# shellcheck disable=SC2086
packages_need "$log" $BUILD_PACKAGES $GUEST_PACKAGES $TEST_PACKAGES
hugepages_borrow 192

step 'Build'
compile "$build"

if [ $mode = quick ]; then
	step 'Tests: unit, conform'
	suites quick "$build" --suite unit --suite conform
else
	step 'Tests'
	exclude=(--no-suite long)
	[ $mode = all ] || exclude=()
	suites tests "$build" "${exclude[@]}"

	step 'Build with faults in the dirty log'
	targets=$FAULTS_TARGETS compile "$faults" -Dfaults=true || echo '(does not build)'

	step 'Tests: the faults are caught'
	suites faults "$faults" faults

	step 'Build with sanitizers'
	compile "$sanitize" -Db_sanitize=address,undefined -Db_lundef=false || echo '(does not build)'

	step 'Tests with sanitizers: unit, conform, fuzz'
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
	# What drives a device by a loaded plugin has its time limits from processes that run at speed.
	suites sanitizers "$sanitize" --suite unit --suite conform --suite fuzz --no-suite long \
		--no-suite vdpa

	step 'Build with ThreadSanitizer'
	targets=$(printf 'test/unit/%s_test ' "${CROSSINGS[@]}") compile "$threads" -Db_sanitize=thread -Db_lundef=false ||
		echo '(does not build)'

	step 'Tests with ThreadSanitizer: what crosses threads'
	suites threads "$threads" "${CROSSINGS[@]}"
fi

step 'Summary'
python3 "$top/test/tools/summary.py" "${runs[@]}"
