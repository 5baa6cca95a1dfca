#!/bin/sh
# Holds decode and defrag against tshark over the public captures. usage: decode_tshark.sh DECODE_DUMP
# Differences have to be explained in decode_tshark.expected. Exit 77: something it needs is not here.
here=$(dirname "$0")
names=${LEAKTAP_SHARED:-$here/../../shared}/data/names
if [ ! -d "$names" ]; then
	echo "SKIPPED: no captures in $names" >&2
	exit 77
fi
if ! command -v tshark >/dev/null || ! command -v python3 >/dev/null; then
	echo "SKIPPED: needs tshark and python3" >&2
	exit 77
fi
find "$names" -name '*.pcap' -o -name '*.pcapng' | sort | xargs python3 "$here/decode_tshark.py" "$1" "$here/decode_tshark.expected"
