# Sourced by deploy/quickstart.sh and tests/run.sh: packages by Debian name, installed only where missing.
# Usage: need_packages "what for" name...

need_packages()
{
	what=$1
	shift
	missing=
	for p in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
		installed) ;;
		*) missing="$missing $p" ;;
		esac
	done
	if [ -z "$missing" ]; then
		echo "== packages to $what: all there"
		return 0
	fi
	echo "== packages to $what: installing$missing"
	if [ "$(id -u)" != 0 ]; then
		echo "not root: run this as root once, or install them yourself: apt-get install$missing" >&2
		return 1
	fi
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of names
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

build_packages="gcc libc6-dev cmake ninja-build pkg-config libpcap-dev libndpi-dev libhiredis-dev libjansson-dev libssl-dev libcyaml-dev libyaml-dev libcsv-dev zlib1g-dev libzstd-dev redis-server tzdata"

# build_preset NAME: configures and builds, quietly unless it fails.
build_preset()
{
	echo "== building build/$1"
	mkdir -p "build/$1"
	if ! { cmake --preset "$1" && cmake --build --preset "$1"; } >"build/$1/build.log" 2>&1; then
		tail -n 40 "build/$1/build.log" >&2
		echo "the build failed; all of its output is in build/$1/build.log" >&2
		return 1
	fi
}
