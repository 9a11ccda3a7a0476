"""Walks the operators' console in a browser. Called by `scripts/console-test`, which says what it needs.

console_test.py CHROMIUM API FOLDER PICTURES KEYS: KEYS is a file with an administrator's, an operator's and a reader's
key, one a line. Leaves pictures of every section in PICTURES.
"""

import json
import os
import select
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request

from console_cdp import Browser

SECTIONS = [("o", "Overview"), ("f", "Forks"), ("c", "Completeness"), ("p", "Projects"), ("b", "Breaks"), ("m", "Mints"),
            ("t", "Treasury"), ("v", "Governance"), ("w", "Webhooks"), ("a", "Access")]
# Sections without a list of rows that open: the overview has none, and one fee is shown whole.
NOT_OPENED = ("Overview", "Treasury")
ROWS = "document.querySelectorAll('#main [data-row]').length"
QUIET = "!document.querySelector('[aria-busy]') && !/^Reading/.test([...document.querySelectorAll('.state')].map(n => n.textContent).join())"
FOCUS = "document.activeElement.dataset.row || ''"
MARKUP = "<img src=x onerror=alert(1)>"


class Gate:
    """Stands between the browser and the service, and can be shut: then every connection is cut, and none is taken."""

    def __init__(self, target):
        self.target, self.open, self.pairs = target, True, set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.listener.accept()
            if self.open:
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()
            else:
                near.close()

    def _carry(self, near):
        try:
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        pair = (near, far)
        self.pairs.add(pair)
        try:
            while self.open:
                for ready in select.select(pair, [], [], 0.1)[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)
        except OSError:
            pass
        finally:
            self.pairs.discard(pair)
            for one in pair:
                one.close()


class Walk:
    """The scenario, step by step. Each step says what it found."""

    def __init__(self, browser, api, pictures, keys):
        self.browser, self.api, self.pictures = browser, api, pictures
        self.admin, self.operator, self.reader = keys
        self.gate = Gate(("127.0.0.1", urllib.parse.urlsplit(api).port))
        self.url = f"http://127.0.0.1:{self.gate.port}"
        self.expected = []
        self.steps = 0

    def ask(self, path, method="GET", body=None):
        request = urllib.request.Request(self.api + path, method=method, headers={"authorization": f"Bearer {self.admin}", "content-type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def said(self, text):
        self.steps += 1
        print(f"console-test: {text}", flush=True)

    def picture(self, name):
        self.browser.hear(0.15)
        self.browser.picture(os.path.join(self.pictures, name + ".png"))

    def until(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            self.browser.hear(0.2)
        raise AssertionError(f"waited {seconds} s for {what}")

    def expect(self, status):
        """The browser itself complains of each answer that is no success."""
        self.expected.append(str(status))

    def title(self, title):
        self.browser.wait(f"document.querySelector('#main h1')?.textContent === {json.dumps(title)} && {QUIET}", title)

    def go(self, place):
        self.browser.js(f"location.hash = {json.dumps('#/' + place)}; new Promise((done) => setTimeout(done, 100))")
        self.browser.wait(QUIET, place)

    def section(self, letter, title):
        self.browser.press("g", letter)
        self.title(title)

    def log_in(self, key):
        self.browser.wait("document.activeElement.id === 'key'", "the login")
        self.browser.write(key)
        self.browser.press("Enter")

    def log_out(self):
        self.browser.js("document.getElementById('leave').click()")
        self.browser.wait("document.activeElement.id === 'key'", "the login")

    def seed(self):
        """Makes a webhook that nobody answers, and waits for what the devnet and its platform do by themselves."""
        self.ask("/v1/webhooks", "POST", {"url": f"http://127.0.0.1:9/{urllib.parse.quote(MARKUP)}", "max_attempts": 1, "on_failure": "skip"})
        for path in ("/v1/reorgs", "/v1/breaks", "/v1/webhooks/1/dead-letters", "/v1/treasury/fees", "/v1/governance/actions"):
            self.until(lambda p=path: self.ask(p)["data"], f"rows of {path}", 180)
        self.until(lambda: self.ask("/v1/projects?limit=51").get("next_cursor"), "a second page of projects", 180)
        self.until(lambda: self.ask("/v1/completeness")["data"]["proved"], "a proof", 60)
        document = self.ask("/v1/openapi.json")
        self.routes, self.schemas = document["paths"], document["components"]["schemas"]

    def login(self):
        browser = self.browser
        browser.call("Page.navigate", url=self.url + "/console")
        browser.wait("document.activeElement?.id === 'key'", "the login")
        self.picture("login-light")
        self.expect(401)
        self.log_in("stxworx_0123456789abcdef_" + "0" * 64)
        browser.wait("document.querySelector('.failure .request-id')?.textContent.length > 8", "the refusal with its request's id")
        assert browser.js("sessionStorage.length") == 0, "a key that was refused is kept"
        self.picture("login-refused")
        self.log_in(self.admin)
        browser.wait("!document.getElementById('nav').hidden", "the sections")
        self.title("Overview")
        browser.wait("document.getElementById('stream-state').textContent === 'live'", "the stream")
        shown = browser.js("location.href + document.cookie + JSON.stringify(localStorage)")
        assert self.admin not in shown, "the key is where it must not be"
        browser.wait("document.querySelectorAll('.feed li').length > 1", "frames")
        self.said("a wrong key is refused with the request's id, a right one is taken; frames come")

    def modules(self):
        """What the modules make of hard values."""
        gap = "\u202f"
        for call, wanted in (
                ("amount('43743473', 6)", "43.743473"), ("amount('5', 6)", "0.000005"), ("amount('1000000', 6)", "1"), ("amount('0', 8)", "0"),
                ("amount('340282366920938463463374607431768211455', 6)", "340282366920938463463374607431768.211455"),
                ("amount('-1234567')", "\u22121234567"), ("amount(null)", ""), ("amount('x')", "x"), ("count(999)", "999"),
                ("principal('ST44QCPTNCPP9BCD9Q55HDDAJJS7K1Z8C4SYHC7K.freelance-logic')", "ST44Q\u2026HC7K.freelance-logic"),
                ("time(0)", "1970-01-01 00:00:00Z"), ("time('soon')", "soon"), ("burnBlocks(1)", "1 block, about 10 min"), ("span(90)", "90 s")):
            got = self.browser.js(f"import('/console/text.js').then((text) => text.{call})")
            assert got.replace(gap, "") == wanted, f"{call} is {got!r}"
        frames = ": sign of life\nid: 1-a\n\nretry: 2000\nid: 2-b\nevent: applied\ndata: {\"a\":\ndata: 1}\n\nevent: cut"
        for size in (1, 7, 1000):
            heard = self.browser.js(f"""import('/console/live.js').then(({{ reader }}) => {{
                const heard = []; const take = reader((frame) => heard.push(frame)); const text = {json.dumps(frames)};
                for (let at = 0; at < text.length; at += {size}) take(text.slice(at, at + {size}));
                return heard; }})""")
            assert [(one.get("id"), one["event"], one["data"]) for one in heard] == [("1-a", "message", ""), ("2-b", "applied", '{"a":\n1}')], heard
        self.said("amounts of any size are written exactly; frames are read however they are cut")

    def sections(self):
        browser = self.browser
        for letter, title in SECTIONS:
            self.section(letter, title)
            rows = browser.js(ROWS)
            if title == "Mints" and "/v1/mints" not in self.routes:
                assert rows == 0 and "mints no badges" in browser.js("document.getElementById('main').innerText")
            elif title == "Mints":
                self.said(f"Mints: {rows} rows")
            elif title != "Overview":
                assert rows > 0, f"{title} has no rows"
            assert browser.js("document.querySelector('#nav [aria-current]').dataset.section") == browser.js("location.hash.slice(2)")
            self.picture(f"{title.lower()}-light")
            if title in NOT_OPENED or not rows:
                continue
            self.open_a_row(title)
        self.said("every section is reached by keyboard, shows rows, opens one and closes it")

    def open_a_row(self, title):
        browser = self.browser
        browser.press("j")
        first = browser.js(FOCUS)
        assert first, f"{title}: j goes to no row"
        browser.press("j")
        if browser.js(ROWS) > 1:
            assert browser.js(FOCUS) != first, f"{title}: j does not move"
            browser.press("k")
            assert browser.js(FOCUS) == first, f"{title}: k does not come back"
        if title == "Access":
            browser.js("document.querySelector('#main tr.opens [data-row]').focus()")
            first = browser.js(FOCUS)
        browser.press("Enter")
        browser.wait(f"!document.getElementById('detail').hidden && document.querySelector('#detail .facts') && {QUIET}", f"a detail of {title}")
        assert browser.js("document.getElementById('detail').contains(document.activeElement)"), f"{title}: the focus is not in what was opened"
        self.picture(f"{title.lower()}-open-light")
        browser.press("Escape")
        browser.wait("document.getElementById('detail').hidden", "the detail to close")
        assert browser.js(FOCUS) == first, f"{title}: the focus does not come back to the row"

    def projects(self):
        browser = self.browser
        self.section("f", "Forks")
        browser.press("/")
        browser.wait("document.activeElement.dataset.search === ''", "the search")
        browser.write("2")
        browser.press("Enter")
        browser.wait("document.querySelector('#detail h2')?.textContent === 'Project 2' && document.querySelector('#detail .story')", "project 2 with its story")
        self.picture("project-2")
        browser.press("Escape")
        browser.wait("document.getElementById('detail').hidden")
        browser.js("document.activeElement.blur()")
        before = browser.js(ROWS)
        assert before == 50, before
        browser.press("n")
        browser.wait(f"{ROWS} > {before}", "a second page")
        self.go("projects?status=completed")
        browser.wait(f"{ROWS} > 0 && {QUIET} && [...document.querySelectorAll('#main tbody .badge')].every(n => n.textContent === 'completed')", "completed ones only")
        self.said("search, pages and filters of projects")

    def faults(self):
        browser = self.browser
        problem = {"content-type": "application/problem+json", "x-request-id": "made-up-1"}
        self.go("projects")
        browser.wait(f"{ROWS} === 50")
        body = {"title": "t", "status": 409, "code": "fork_changed", "detail": "d", "common_ancestor": {"index_block_hash": "0x00", "height": 7}}
        browser.answer_next("cursor=", 409, problem, body, lambda: browser.press("n"))
        browser.wait(f"document.getElementById('notes').innerText.includes('above block 7') && {ROWS} === 50 && {QUIET}", "the walk to begin anew")
        body = {"title": "t", "status": 429, "code": "rate_limited", "detail": "d"}
        browser.answer_next("/v1/reorgs", 429, {**problem, "retry-after": "1"}, body, lambda: browser.press("g", "f"))
        browser.wait("document.getElementById('notes').innerText.includes('asking again in 1 s')", "the wait")
        self.title("Forks")
        browser.wait(f"{ROWS} > 0", "rows after the wait")
        body = {"title": "The service failed", "status": 500, "code": "internal", "detail": MARKUP}
        browser.answer_next("/v1/reorgs", 500, problem, body, lambda: browser.press("r"))
        browser.wait("document.querySelector('#main .failure')?.innerText.includes('made-up-1')", "the problem")
        assert MARKUP in browser.js("document.querySelector('#main .failure').innerText"), "the problem is not shown as text"
        self.picture("problem")
        browser.js("document.querySelector('#main .failure button').click()")
        browser.wait(f"{ROWS} > 0 && !document.querySelector('#main .failure')", "rows after another try")
        self.said("409 begins the walk anew, 429 waits, a problem shows its request's id")

    def stream(self):
        browser = self.browser
        self.section("o", "Overview")
        browser.requests.clear()
        self.gate.open = False
        browser.wait("document.getElementById('stream-state').textContent === 'stream cut'", "the cut to be seen")
        self.picture("stream-cut")
        height = self.ask("/v1/status")["as_of"]["height"]
        self.until(lambda: self.ask("/v1/status")["as_of"]["height"] > height + 1, "blocks behind the cut")
        self.gate.open = True
        browser.wait("document.getElementById('stream-state').textContent === 'live'", "the stream to go on", 60)
        asked = [one for one in browser.requests if "/v1/stream" in one["url"]]
        assert asked and all("last-event-id" in {name.lower() for name in one["headers"]} for one in asked), "the stream was not resumed"
        browser.wait(f"Number(document.getElementById('tip').textContent.replace(/\\D/g, '')) > {height}", "the tip to move on")
        self.expected.append("ERR_")
        self.said("a cut of the stream is shown, and it goes on where it was")

    def decisions(self):
        """Names of what the service lets do with a break: a route each, or one whose body says which."""
        found = set()
        for path, item in self.routes.items():
            if not path.startswith("/v1/breaks/{id}/") or "post" not in item:
                continue
            schema = item["post"].get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
            tags = [value["enum"][0] for one in schema.get("oneOf", []) for value in one.get("properties", {}).values() if len(value.get("enum", [])) == 1]
            found |= set(tags or [path.rsplit("/", 1)[1]])
        return found

    def breaks(self):
        browser = self.browser
        self.section("b", "Breaks")
        browser.press("j", "Enter")
        browser.wait(f"document.querySelector('#detail .facts') && {QUIET}", "a break")
        listed = self.decisions()
        drawn = browser.js("[...document.querySelectorAll('#detail [data-action]')].map(n => n.dataset.action)")
        if not listed:
            assert drawn == [], drawn
            browser.press("Escape")
            self.said("breaks: the service has no actions on them, and none are drawn")
            return
        assert drawn and set(drawn) <= listed, f"{drawn}, the service has {listed}"
        name = next(one for one in drawn if one.startswith("ack"))
        browser.js(f"document.querySelector('[data-action={name}]').click()")
        browser.wait(f"document.querySelector('[data-send={name}]')", "the form")
        browser.js(f"document.querySelector('[data-send={name}]').click()")
        browser.wait(f"document.querySelector('#detail .facts')?.innerText.includes('acknowledged') && {QUIET}", "the break to be acknowledged", 60)
        browser.js("document.querySelector('[data-action=accept]').click()")
        browser.wait("document.activeElement.closest('form.action')", "the form of an acceptance")
        self.picture("break-accept")
        browser.js("for (const one of document.querySelectorAll('form.action textarea')) one.value = 'known, and small'; "
                   "for (const one of document.querySelectorAll('form.action [type=number]')) one.value = 2; document.querySelector('[data-send=accept]').click()")
        browser.wait(f"document.querySelector('#detail .facts')?.innerText.includes('accepted') && {QUIET}", "the break to be accepted", 60)
        assert "known, and small" in browser.js("document.getElementById('detail').innerText"), "the note is not shown"
        browser.js("document.activeElement.blur()")
        browser.press("Escape")
        self.said("breaks: one is acknowledged, and accepted with a note and an end")

    def drawn(self):
        """Routes that this service may not have: the page draws what a description names, and sends what it wants."""
        browser = self.browser
        one = {"type": "object", "required": ["action", "note", "for_seconds"], "description": "Lives with it.", "properties": {
            "action": {"type": "string", "enum": ["made_up"]}, "note": {"type": "string", "description": "Why."},
            "for_seconds": {"type": "integer"}, "onchain": {"type": "boolean"}}}
        other = {"type": "object", "required": ["action"], "properties": {"action": {"type": "string", "enum": ["other"]}}}
        post = {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/MadeUp"}}}}}}
        row = {"type": "object", "properties": {"id": {"type": "integer"}, "state": {"type": "string"}, "recipient": {"type": "string"}, "work": {"type": "object"}}}
        page = {"type": "object", "properties": {"data": {"type": "array", "items": row}}}
        mints = {"get": {"parameters": [{"name": "state", "in": "query", "schema": {"type": "string"}}],
                         "responses": {"200": {"content": {"application/json": {"schema": page}}}}}}
        mint = {"id": 7, "state": "final_ok", "recipient": MARKUP, "work": {"nonce": 3}, "history": [{"at_s": 0, "to": "queued"}, {"at_s": 1, "to": "final_ok"}]}
        self.section("o", "Overview")
        browser.js(f"""{{
            const real = window.fetch;
            window.sent = [];
            window.fetch = async (url, options) => {{
                const say = (body) => new Response(JSON.stringify(body));
                if (String(url).includes("/made_ups")) {{ window.sent.push(options.body); return say({{ data: {{}} }}); }}
                if (/v1.mints.7/.test(url)) return say({{ data: {json.dumps(mint)} }});
                if (/v1.mints/.test(url)) return say({{ data: [{json.dumps(mint)}] }});
                if (url !== "/v1/openapi.json") return real(url, options);
                const document_ = await (await real(url, options)).json();
                for (const path of Object.keys(document_.paths)) if (/v1.(mints|breaks.*.id..)/.test(path)) delete document_.paths[path];
                Object.assign(document_.paths, {{ "/v1/breaks/{{id}}/made_ups": {json.dumps(post)}, "/v1/mints": {json.dumps(mints)}, "/v1/mints/{{id}}": {{ get: {{}} }} }});
                document_.components.schemas.MadeUp = {{ oneOf: [{json.dumps(one)}, {json.dumps(other)}] }};
                return say(document_);
            }};
        }}""")
        self.section("b", "Breaks")
        browser.press("j", "Enter")
        browser.wait(f"document.querySelectorAll('#detail [data-action]').length === 2 && {QUIET}", "the made-up actions")
        browser.js("document.querySelector('[data-action=made_up]').click()")
        browser.wait("document.activeElement.name === 'note'", "the focus in the form")
        self.picture("break-form")
        browser.write("because")
        browser.js("document.querySelector('form.action [name=for_seconds]').value = '2'; document.querySelector('[data-send=made_up]').click()")
        browser.wait(f"window.sent.length === 1 && {QUIET}", "the first action")
        browser.js("document.querySelector('[data-action=other]').click(); document.querySelector('[data-send=other]').click()")
        browser.wait(f"window.sent.length === 2 && {QUIET}", "the second action")
        sent = [json.loads(one) for one in browser.js("window.sent")]
        assert sent == [{"action": "made_up", "note": "because", "for_seconds": 172800, "onchain": False}, {"action": "other"}], sent
        browser.js("document.activeElement.blur()")
        browser.press("Escape")
        self.section("m", "Mints")
        browser.press("j", "Enter")
        browser.wait(f"document.querySelectorAll('#detail tbody tr').length === 2 && {QUIET}", "the mint's history")
        assert browser.js("document.querySelector('#detail .facts').innerText").count("3"), "what is inside of a mint is not shown"
        assert browser.js("document.querySelectorAll('#main img, #detail img').length") == 0
        self.picture("mint-open")
        browser.call("Page.reload")
        self.title("Mints")
        # The page may ask the real route for the made-up mint once more.
        self.expected.append("/v1/mints/7")
        self.said("actions and mints are drawn as the description says, and sent as it wants")

    def webhooks(self):
        browser = self.browser
        self.go("webhooks/1")
        browser.wait(f"document.querySelector('#detail [data-redrive]') && {QUIET}", "dead letters")
        letter = browser.js("document.querySelector('[data-redrive]').dataset.redrive")
        button = f"document.querySelector('[data-redrive={json.dumps(letter)}]')"
        browser.js(button + ".click()")
        assert self.ask("/v1/audit-log?action=webhook.redrive")["data"] == [], "one press is enough"
        browser.js(button + ".click()")
        browser.wait(f"document.getElementById('notes').innerText.includes('Letter {letter} is sent again')", "the note")
        assert self.ask("/v1/audit-log?action=webhook.redrive")["data"], "no action was noted"
        browser.press("Escape")
        self.said("a dead letter is sent again, at the second press")

    def markup(self):
        browser = self.browser
        self.section("a", "Access")
        assert MARKUP in browser.js("document.getElementById('main').innerText"), "the hostile name is not shown"
        assert browser.js("document.querySelectorAll('#main img, #detail img').length") == 0
        assert browser.dialogs == 0
        row = f"[...document.querySelectorAll('#main tr')].find(n => n.innerText.includes({json.dumps(MARKUP)}))"
        browser.js(f"{row}.querySelector('[data-revoke]').click()")
        browser.js(f"{row}.querySelector('[data-revoke]').click()")
        browser.wait(f"{row}.innerText.includes('revoked') && {QUIET}", "the key to be revoked")
        self.said("markup in a name is text; its key is revoked")

    def help(self):
        browser = self.browser
        browser.press("?")
        browser.wait("document.getElementById('keys').open")
        self.picture("keys")
        browser.press("Escape")
        browser.wait("!document.getElementById('keys').open")

    def names(self):
        """Whatever takes the focus has a name, in every section."""
        for letter, title in SECTIONS:
            self.section(letter, title)
            tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]
            for node in tree:
                focusable = any(p["name"] == "focusable" and p["value"].get("value") for p in node.get("properties", []))
                role = node.get("role", {}).get("value")
                if focusable and role not in ("RootWebArea", "main", "complementary", "generic") and not node.get("ignored"):
                    assert node.get("name", {}).get("value"), f"{title}: a {role} has no name: {node}"
        self.said("everything that takes the focus has a name")

    def looks(self):
        browser = self.browser
        browser.scheme("dark")
        for letter, title in SECTIONS:
            self.section(letter, title)
            self.picture(f"{title.lower()}-dark")
        dark = browser.js("getComputedStyle(document.body).backgroundColor")
        browser.press("t")
        light = browser.js("getComputedStyle(document.body).backgroundColor")
        assert dark != light, "the switch changes nothing"
        browser.press("t", "t")
        assert browser.js("getComputedStyle(document.body).backgroundColor") == dark
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            browser.size(400, 800)
            for letter, title in SECTIONS:
                self.section(letter, title)
                width = browser.js("document.documentElement.scrollWidth")
                assert width <= 400, f"{title} is {width} wide on a screen of 400"
                self.picture(f"{title.lower()}-{scheme}-400")
        self.go("projects/2")
        browser.wait(f"document.querySelector('#detail .story') && {QUIET}", "project 2")
        assert browser.js("document.getElementById('detail').scrollWidth") <= 400
        self.picture("project-2-dark-400")
        browser.press("Escape")
        browser.size(1280, 900)
        browser.scheme("light")
        self.said("light and dark, 1280 and 400 wide")

    def roles(self):
        browser = self.browser
        self.section("o", "Overview")
        self.log_out()
        assert browser.js("sessionStorage.length") == 0, "the key stays behind"
        self.log_in(self.operator)
        self.title("Overview")
        self.section("a", "Access")
        assert browser.js("document.querySelectorAll('[data-revoke]').length") == 0, "an operator sees keys"
        assert browser.js(ROWS) > 0
        self.section("o", "Overview")
        self.log_out()
        self.log_in(self.reader)
        self.title("Overview")
        browser.press("g", "b")
        browser.wait("document.querySelector('#main .failure')?.innerText.includes('wants the role operator')", "the refusal")
        self.section("p", "Projects")
        assert browser.js(ROWS) == 50
        body = {"title": "Who asks is not known", "status": 401, "code": "unauthorized", "detail": "it is revoked"}
        browser.answer_next("/v1/reorgs", 401, {"content-type": "application/problem+json"}, body, lambda: browser.press("g", "f"))
        browser.wait("document.activeElement.id === 'key' && document.querySelector('.login .failure')", "the login with the reason")
        assert browser.js("sessionStorage.length") == 0
        self.said("an operator sees no keys, a reader no breaks; 401 asks to log in again")

    def clean(self):
        """Nothing but what was caused on purpose, and no other host."""
        self.browser.hear(0.3)
        hosts = {urllib.parse.urlsplit(one["url"]).netloc for one in self.browser.requests} - {"", f"127.0.0.1:{self.gate.port}"}
        assert not hosts, f"the page asked {hosts}"
        unknown = [text for text in self.browser.complaints if not (text.startswith("network:") and any(one in text for one in self.expected))]
        assert not unknown, "the browser complains:\n" + "\n".join(unknown)
        self.said(f"no complaint of the browser, no request to another host; {len(os.listdir(self.pictures))} pictures")


def main():
    program, api, folder, pictures, keys = sys.argv[1:]
    with open(keys, encoding="utf-8") as lines:
        browser = Browser(program, folder)
        try:
            browser.size(1280, 900)
            browser.scheme("light")
            walk = Walk(browser, api, pictures, lines.read().split())
            only = os.environ.get("ONLY", "").split()
            for step in ("seed", "login", "modules", "drawn", "sections", "projects", "faults", "stream", "breaks", "webhooks", "markup", "help", "names", "looks", "roles", "clean"):
                if not only or step in only:
                    getattr(walk, step)()
        except AssertionError:
            browser.picture(os.path.join(pictures, "failed.png"))
            raise
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
