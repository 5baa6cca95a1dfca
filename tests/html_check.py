#!/usr/bin/env python3
"""The report in a real browser: no script, no request, no foreign address, hostile text shown as text, readable at 1280 pixels, in the dark and on paper.
Usage: html_check.py LEAKTAP [--keep DIRECTORY]; with --keep the reports and pictures of them stay there. Exit 77: no chromium."""
import argparse
import base64
import hashlib
import html.parser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--disable-extensions", "--remote-debugging-pipe", "--window-size=1280,1000"]
TAGS = set("html head meta title style body main h1 h2 h3 p span a ul ol li div table thead tbody tr th td small time code b br svg g text line circle "
           "rect".split())
ATTRIBUTES = set("lang charset http-equiv content name class id href colspan viewbox role aria-label x y x1 y1 x2 y2 cx cy r width height text-anchor".split())
BAD_SELECTOR = "script,img,image,iframe,frame,object,embed,applet,link,base,form,input,button,video,audio,source,use,foreignObject,animate,set,math,template"
# What must be readable in the hostile report, as a person sees it.
HOSTILE_TEXTS = ["<script>alert('cmd')</script><img src=x onerror=\"alert('cmd')\">", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}", "\\u{202e}gpj.\\u{200b}",
                 "eve<b>", "&amp;", "cmd</title><script>alert('parent')</script>.exe", "ws-0431<b>.corp.example", "=1+1|calc ${jndi:ldap://x} %n%s",
                 "x' onerror='alert(&quot;image&quot;)&lt;.exe"]
faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


class Static(html.parser.HTMLParser):
    """Only the elements and attributes that the report is made of; one style element, one policy that has its hash."""

    def __init__(self, where):
        super().__init__()
        self.where, self.in_style, self.style, self.policy = where, False, "", None

    def handle_starttag(self, tag, attrs):
        self.in_style = tag == "style"
        if tag not in TAGS:
            fault(self.where, f"element {tag}")
        for key, value in attrs:
            if key not in ATTRIBUTES:
                fault(self.where, f"attribute {key} of {tag}")
            if key == "href" and not re.fullmatch(r"#f-[0-9a-f]{16}", value or ""):
                fault(self.where, f"href {value}")
            if value and "//" in value and key != "content":
                fault(self.where, f"address in {tag} {key}: {value}")
        if tag == "meta" and dict(attrs).get("http-equiv", "").lower() == "content-security-policy":
            self.policy = dict(attrs)["content"]

    def handle_endtag(self, tag):
        self.in_style = False

    def handle_data(self, data):
        if self.in_style:
            self.style += data

    def handle_comment(self, data):
        fault(self.where, "comment")


def check_static(path):
    raw = path.read_bytes()
    text = raw.decode("utf-8")
    page = Static(path.name)
    page.feed(text)
    page.close()
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    if page.policy != f"default-src 'none'; style-src 'sha256-{digest}'":
        fault(path.name, f"policy is {page.policy}")
    if re.search(r"url\(|@import|expression|javascript:", page.style):
        fault(path.name, "style that could ask for something")
    if len(raw) > 1 << 20:
        fault(path.name, f"{len(raw)} bytes are too many for an e-mail")
    wild = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", text)
    if wild:
        fault(path.name, f"raw character {wild.group()!r}")


class Browser:
    """Chromium over its debugging pipe: file descriptors 3 and 4, messages that end with NUL."""

    def __init__(self, binary, profile):
        down, up = os.pipe(), os.pipe()

        def wire():
            a, b = os.dup(down[0]), os.dup(up[1])
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen([binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        close_fds=False, preexec_fn=wire)
        os.close(down[0])
        os.close(up[1])
        self.out, self.back, self.rest, self.n, self.events = down[1], up[0], b"", 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self):
        while b"\0" not in self.rest:
            data = os.read(self.back, 1 << 20)
            if not data:
                raise SystemExit("chromium is gone")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\0")
        return json.loads(line)

    def call(self, method, **params):
        self.n += 1
        request = {"id": self.n, "method": method, "params": params}
        if getattr(self, "session", None):
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.n:
                if "error" in m:
                    raise SystemExit(f"{method}: {m['error']}")
                return m["result"]
            self.events.append(m)

    def evaluate(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return r["result"].get("value")

    def open(self, url):
        self.events.clear()
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message())

    def requests(self):
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        return [e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"]

    def dialogs(self):
        return [e for e in self.events if e.get("method") == "Page.javascriptDialogOpening"]

    def picture(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def fits(browser, where):
    wide = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    tables = browser.evaluate("[...document.querySelectorAll('.wide')].filter(d => d.scrollWidth > d.clientWidth + 1).length")
    if wide > 0:
        fault(where, f"{wide} pixels wider than the window")
    if tables:
        fault(where, f"{tables} tables are cut off")


def check_shown(browser, path):
    browser.open(path.as_uri())
    where = path.name
    for url in browser.requests():
        if url != path.as_uri():
            fault(where, f"asks for {url}")
    for text in browser.complaints():
        fault(where, f"browser says: {text}")
    if browser.dialogs():
        fault(where, "a dialog opened: script ran")
    if browser.evaluate(f"document.querySelectorAll({json.dumps(BAD_SELECTOR)}).length") != 0:
        fault(where, "elements that must not be there")
    handlers = "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => /^on|^style$|^src/i.test(a.name)))"
    if browser.evaluate("document.scripts.length") != 0 or browser.evaluate(handlers):
        fault(where, "script, handler or inline style")
    if browser.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "1120px":
        fault(where, "the style was not applied: its hash is wrong")
    links = "[...document.querySelectorAll('a')].every(a => document.getElementById(a.getAttribute('href').slice(1)))"
    if not browser.evaluate(links):
        fault(where, "a link leads nowhere")
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=1000, deviceScaleFactor=1, mobile=False)
    fits(browser, f"{where} at 1280")
    return browser.evaluate("document.body.textContent")


def pictures(browser, path, keep):
    browser.picture(keep / f"{path.stem}-light.png")
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.picture(keep / f"{path.stem}-dark.png")
    browser.call("Emulation.setDeviceMetricsOverride", width=703, height=1000, deviceScaleFactor=1, mobile=False)  # A4 between margins of 12 mm
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    if browser.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)":
        fault(path.name, "prints dark")
    fits(browser, f"{path.name} on paper")
    browser.picture(keep / f"{path.stem}-print.png")
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def report(leaktap, target, captures, events):
    cmd = [leaktap, "-q", "--join", "all", "-r", captures, "--endpoint", events, "-o", "/dev/null", "--report", target]
    done = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"leaktap: exit {done.returncode}: {done.stderr}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("leaktap")
    ap.add_argument("--keep", type=pathlib.Path)
    args = ap.parse_args()
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not binary:
        print("SKIPPED: no chromium")
        sys.exit(77)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tmp:
        keep = args.keep or pathlib.Path(tmp)
        keep.mkdir(parents=True, exist_ok=True)
        bundled, hostile = (keep.resolve() / f"{n}.html" for n in ("bundled", "hostile"))
        report(args.leaktap, bundled, ROOT / "pcaps/captures", ROOT / "pcaps/events")
        report(args.leaktap, hostile, ROOT / "tests/golden/hostile.pcap", ROOT / "tests/golden/hostile.ndjson")
        browser = Browser(binary, pathlib.Path(tmp) / "profile")
        try:
            for path in (bundled, hostile):
                check_static(path)
                text = check_shown(browser, path)
                for wanted in HOSTILE_TEXTS if path == hostile else ["sacyberrangedanger", "content.dropboxapi.com"]:
                    if wanted not in text:
                        fault(path.name, f"does not show {wanted!r}")
                pictures(browser, path, keep)
        finally:
            browser.close()
    print("\n".join(faults) or "2 reports: no script, no request, all text shown as text")
    sys.exit(1 if faults else 0)


main()
