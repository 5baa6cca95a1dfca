#!/usr/bin/env python3
"""Writes Sysmon events 3 (network connect) as NXLog writes them, about 1.5 KB a row, for measuring the endpoint side.

Usage: gen_sysmon.py ROWS OUT.ndjson. The same rows every time: 500 devices, 20 processes each, 2,000 rows a second from
2026-01-01T00:00:00Z on, the clients' addresses and ports as tests/bench/genload has them."""
import sys

ROW = (
    '{{"EventTime":"{t}","Hostname":"{host}","Keywords":-9223372036854775808,"EventType":"INFO","SeverityValue":2,"Severity":"INFO",'
    '"EventID":3,"SourceName":"Microsoft-Windows-Sysmon","ProviderGuid":"{{5770385F-C22A-43E0-BF4C-06F5698FFBD9}}","Version":5,"Task":3,'
    '"OpcodeValue":0,"RecordNumber":{n},"ProcessID":2480,"ThreadID":3120,"Channel":"Microsoft-Windows-Sysmon/Operational",'
    '"Domain":"NT AUTHORITY","AccountName":"SYSTEM","UserID":"S-1-5-18","AccountType":"User","Message":"Network connection detected:\\r\\n'
    'RuleName: -\\r\\nUtcTime: {u}\\r\\nProcessGuid: {{{guid}}}\\r\\nProcessId: {pid}\\r\\nImage: {image2}\\r\\nUser: CORP\\\\user{h}\\r\\n'
    "Protocol: tcp\\r\\nInitiated: true\\r\\nSourceIsIpv6: false\\r\\nSourceIp: {src}\\r\\nSourceHostname: {host}\\r\\nSourcePort: {sport}\\r\\n"
    'SourcePortName: -\\r\\nDestinationIsIpv6: false\\r\\nDestinationIp: {dst}\\r\\nDestinationHostname: -\\r\\nDestinationPort: 443\\r\\n'
    'DestinationPortName: https","Category":"Network connection detected (rule: NetworkConnect)","Opcode":"Info","RuleName":"-",'
    '"UtcTime":"{u}","ProcessGuid":"{{{guid}}}","ProcessId":"{pid}","Image":"{image2}","User":"CORP\\\\user{h}","Protocol":"tcp",'
    '"Initiated":"true","SourceIsIpv6":"false","SourceIp":"{src}","SourceHostname":"{host}","SourcePort":"{sport}","SourcePortName":"-",'
    '"DestinationIsIpv6":"false","DestinationIp":"{dst}","DestinationHostname":"-","DestinationPort":"443","DestinationPortName":"https",'
    '"EventReceivedTime":"{t}","SourceModuleName":"eventlog","SourceModuleType":"im_msvistalog"}}\n'
)
IMAGES = ("C:\\\\\\\\Program Files\\\\\\\\Google\\\\\\\\Chrome\\\\\\\\Application\\\\\\\\chrome.exe", "C:\\\\\\\\Windows\\\\\\\\System32\\\\\\\\svchost.exe",
          "C:\\\\\\\\Tools\\\\\\\\rclone.exe", "C:\\\\\\\\Users\\\\\\\\Public\\\\\\\\OneDrive\\\\\\\\OneDrive.exe")


def row(n):
    ms = n // 2
    clock = f"{ms // 3600000 % 24:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}"
    day, h = 1 + ms // 86400000, n % 500
    pid = 1000 + 4 * (n // 500 % 20)
    return ROW.format(t=f"2026-01-{day:02} {clock}", u=f"2026-01-{day:02} {clock}.{ms % 1000:03}", host=f"ws-{h:04}.corp.example", h=h, n=n,
                      guid=f"0F1E2D3C-{h:04X}-6957-{pid:04X}-000000000700", pid=pid, image2=IMAGES[pid // 4 % 4].replace("\\\\\\\\", "\\\\"),
                      src=f"10.{h // 250}.{h % 250}.{1 + h % 200}", sport=32768 + n // 500 % 28000, dst=f"198.18.{n // 7 % 256}.{n % 251}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2], "w") as f:
        for n in range(int(sys.argv[1])):
            f.write(row(n))


main()
