#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Shows ferry at work: builds it, starts the switch, boots two small guests and has them ping and
# stream through it.  Installs what is missing, leaves nothing running behind.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
ferryd=$build/app/ferryd
ferryctl=$build/app/ferryctl
work=$(mktemp -d "${TMPDIR:-/tmp}/ferry-quickstart.XXXXXX")
rpc=$work/ferry.sock
pids=()
commands=0

# shellcheck source=../test/tools/machine.sh
. "$top/test/tools/machine.sh"

finish() {
	local status=$?

	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	hugepages_return
	if [ $status -ne 0 ]; then
		echo
		echo "The quickstart stopped; the last lines of its logs:"
		tail -n 8 "$work"/*.log 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
	bold='' plain=''
fi

step() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

told() {
	printf '   %s\n' "$*"
}

# Waits until a command succeeds, at most $1 seconds.
wait_for() {
	local end=$((SECONDS + $1))
	shift

	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "gave up waiting for: $*" >&2; return 1; }
		sleep 0.1
	done
}

build_ferry() {
	[ -e "$build/build.ninja" ] || meson setup "$build" "$top" --buildtype debugoptimized
	ninja -C "$build" app/ferryd app/ferryctl test/e2e/guestio
}

start_ferryd() {
	"$ferryd" --rpc "$rpc" --vhost "vm1=$work/vm1.sock" --vhost "vm2=$work/vm2.sock" >"$work/ferryd.log" 2>&1 &
	pids+=($!)
	wait_for 20 answers $!
}

answers() {
	kill -0 "$1" || exit 1
	"$ferryctl" --rpc "$rpc" ferryd version >/dev/null 2>&1
}

# Boots guest vmN.  Its console is a pair of pipes: the guest's shell reads commands from one.
boot() {
	local name=vm$1

	mkfifo "$work/$name.in" "$work/$name.out"
	cat "$work/$name.out" >"$work/$name.log" &
	pids+=($!)
	qemu-system-x86_64 -accel tcg -m 131080K -nodefaults -no-user-config -nographic \
		-object memory-backend-memfd,id=m,size=131080K,share=on -numa node,memdev=m \
		-kernel "$KERNEL" -initrd "$INITRD" -append 'console=ttyS0 quiet nokaslr mitigations=off no_timer_check' \
		-chardev "pipe,id=console,path=$work/$name" -serial chardev:console \
		-chardev "socket,id=port,path=$work/$name.sock,reconnect=1" \
		-netdev vhost-user,id=net,chardev=port \
		-device "virtio-net-pci,netdev=net,mac=52:54:00:00:00:0$1,romfile=,vectors=0" \
		>"$work/$name.qemu.log" 2>&1 &
	pids+=($!)
}

booted() {
	grep -q '@guest ready' "$work/$1.log"
}

# Sends a command to a guest, with the seconds that it may take; its number is in $commands then.
guest_send() {
	commands=$((commands + 1))
	printf 'c%d %d\n%s\n' "$commands" "$2" "$3" >"$work/$1.in"
}

guest_done() {
	grep -q "^@c$2 [0-9]*@" "$work/$1.log"
}

# Waits for command number $2 of a guest and prints what it said; fails when it failed.
guest_answer() {
	wait_for 90 guest_done "$1" "$2"
	tr -d '\r' <"$work/$1.log" | awk -v end="^@c$2 " '
		$0 ~ end { print text; exit $2 + 0 }
		/^@/ { text = ""; next }
		{ text = text "   " $0 "\n" }'
}

guest_run() {
	guest_send "$1" 60 "$2"
	guest_answer "$1" "$commands"
}

# One line of counters: what each port has received and given, and how fast vm2 is given more.
counters() {
	"$ferryctl" --rpc "$rpc" --json show port | python3 -c '
import json, pathlib, sys, time
last = pathlib.Path(sys.argv[1])
ports = json.load(sys.stdin)
text = "  "
for port in ports:
    text += " {name}".format(**port)
    for way in ("rx", "tx"):
        text += " {}{:>8,} /{:>6.1f} MB".format(way, port[way]["frames"], port[way]["bytes"] / 1e6)
now, size = time.monotonic(), ports[-1]["tx"]["bytes"]
if last.exists():
    then, before = map(float, last.read_text().split())
    text += " {:>5.1f} MB/s".format((size - before) / 1e6 / (now - then))
last.write_text("{} {}".format(now, size))
print(text)' "$work/last"
}

# Shows the counters every second until command $2 of guest $1 is over.
watch_counters() {
	until guest_done "$1" "$2"; do
		counters
		sleep 1
	done
	counters
}

field() {
	python3 -c '
import json, sys
line = [text for text in sys.stdin if "{" in text][-1]
print(json.loads(line)[sys.argv[1]])' "$1"
}

step '1. What the machine needs'
# shellcheck disable=SC2086
packages_need "$work/packages.log" $BUILD_PACKAGES $GUEST_PACKAGES
told 'packages: all there'
hugepages_borrow 64

step '2. Build'
build_ferry >"$work/build.log" 2>&1
told "$ferryd"
told "$ferryctl"
images=$("$top/test/tools/guest-image" --add "$build/test/e2e/guestio" 2>"$work/image.log")
KERNEL=$(sed -n 's/^KERNEL=//p' <<<"$images")
INITRD=$(sed -n 's/^INITRD=//p' <<<"$images")
told 'guest: the distribution'\''s kernel with busybox'

step '3. The switch, with two ports that wait for guests'
told '$ ferryd --vhost vm1=vm1.sock --vhost vm2=vm2.sock --rpc ferry.sock'
start_ferryd
"$ferryctl" --rpc "$rpc" show port | sed 's/^/   /'

step '4. Two guests boot under QEMU (emulated: this takes some seconds)'
boot 1
boot 2
for number in 1 2; do
	wait_for 120 booted vm$number
	guest_run vm$number "ip addr add 10.0.0.$number/24 dev eth0 && ip link set eth0 up" >/dev/null
	told "vm$number is up: 10.0.0.$number"
done

step '5. vm1 pings vm2'
told 'vm1$ ping -c 3 10.0.0.2'
guest_run vm1 'ping -c 3 10.0.0.2'
"$ferryctl" --rpc "$rpc" show fdb | sed 's/^/   /'

step '6. vm1 streams to vm2 for ten seconds; every byte is checked'
told 'frames and bytes: rx is what the switch received from the port, tx what it gave to it'
guest_send vm2 60 'guestio stream-recv 7000 --seconds 50'
receiver=$commands
sleep 1
guest_send vm1 60 'guestio stream-send 10.0.0.2 7000 --seconds 10'
sender=$commands
watch_counters vm1 "$sender"
sent=$(guest_answer vm1 "$sender" | field bytes)
received=$(guest_answer vm2 "$receiver")

step '7. Summary'
told "sent      $sent bytes"
told "received  $(field bytes <<<"$received") bytes in $(field seconds <<<"$received") s," \
	"$(field corrupt <<<"$received") corrupt, $(field lost <<<"$received") lost"
"$ferryctl" --rpc "$rpc" show worker | sed 's/^/   /'
[ "$sent" = "$(field bytes <<<"$received")" ]
told 'All that was sent has arrived.  Guests and switch are stopped now.'
