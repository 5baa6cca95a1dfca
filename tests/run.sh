#!/bin/sh
# Everything the project checks about itself, under ASan and UBSan: installs what the tests need, builds the asan preset, runs ctest. Safe to repeat.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh

# shellcheck disable=SC2086 # a list of names
need_packages "build leaktap" $build_packages
need_packages "test it" libcmocka-dev tshark python3 python3-jsonschema iproute2 openssl curl procps valgrind ethtool ngtcp2-client ngtcp2-server

build_preset asan

echo "== running the tests"
junit=build/asan/junit.xml
rm -f "$junit"
status=0
ctest --preset asan -j "$(nproc)" --output-junit "$PWD/$junit" || status=$?
[ -f "$junit" ] || { echo "ctest wrote no results" >&2; exit 1; }

count() { sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$junit" | head -n 1; }
total=$(count tests) failed=$(count failures) skipped=$(($(count skipped) + $(count disabled)))
passed=$((total - failed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$passed" -gt 0 ] || exit 1
exit "$status"
