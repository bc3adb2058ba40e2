#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Starts a guest whose network is a port of ferryd.  What a guest needs for that:
#   - memory that can be shared, because the switch copies straight from and to it;
#   - a chardev on the port's socket.  reconnect=1 lets the guest survive a restart of ferryd; with
#     server=on instead of it QEMU listens and the port's "role" has to be "client";
#   - queues=N in netdev and mq=on in the device for more than one queue pair.
set -euo pipefail

if [ $# -lt 2 ]; then
	echo "usage: examples/qemu.sh SOCKET MAC [QEMU OPTION]...   (a disk, say: -hda guest.qcow2)" >&2
	exit 2
fi
socket=$1
mac=$2
shift 2

exec qemu-system-x86_64 \
	-accel "${ACCEL:-kvm}" -cpu max -smp "${CPUS:-2}" -m "${MEMORY:-1G}" \
	-object "memory-backend-memfd,id=memory,size=${MEMORY:-1G},share=on" \
	-numa node,memdev=memory \
	-chardev "socket,id=port,path=$socket,reconnect=1" \
	-netdev "vhost-user,id=net,chardev=port,queues=${QUEUES:-1}" \
	-device "virtio-net-pci,netdev=net,mac=$mac,mq=on,packed=${PACKED:-off}" \
	"$@"
