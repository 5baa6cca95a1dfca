#!/bin/sh
# From a fresh Debian 12 to the answer: installs packages, builds the release, replays the bundled lab scenario with its endpoint events,
# prints who uploaded how much to where, writes leaktap-report.html. Safe to repeat.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh

# shellcheck disable=SC2086 # a list of names
need_packages "build leaktap" $build_packages

build_preset release

echo "== replaying pcaps/captures with pcaps/events: packets of a tap and the endpoint events of the same minutes"
build/release/leaktap -r pcaps/captures --endpoint pcaps/events -o build/release/records.json --report leaktap-report.html --no-progress

echo "== report: leaktap-report.html; records: build/release/records.json"
