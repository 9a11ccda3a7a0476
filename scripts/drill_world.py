"""What `scripts/drill` is made of: a PostgreSQL that can be stopped, a Prometheus with the project's rules, a node's RPC that
lies when told to, and how to wait for something."""
import http.server, json, os, pathlib, pwd, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time
import urllib.error, urllib.parse, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
children, cleanups = [], []
end_at = None  # of the whole drill, by time.monotonic()


class Late(Exception):
    """Something did not come about in time."""


def say(text):
    print(f"drill: {text}", flush=True)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, test, seconds=120):
    """Waits for a condition. Questions that fail are asked again."""
    end = time.monotonic() + seconds
    while True:
        try:
            got = test()
        except (OSError, ValueError, KeyError, IndexError):
            got = None
        if got:
            return got
        if end_at and time.monotonic() > end_at:
            raise SystemExit(f"drill: {what}: the time for the whole drill is over")
        if time.monotonic() > end:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(0.3)


def start(name, command, **how):
    log = open(how.pop("work") / f"{name}.log", "ab")
    child = subprocess.Popen(command, stdout=log, stderr=log, cwd=how.pop("cwd", ROOT), **how)
    children.append(child)
    return child


def stop(child, how=signal.SIGINT):
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.send_signal(how)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def ask(url, body=None, key=None, method=None, timeout=30):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    if key:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read() or b"{}")


def status(url, body=None, timeout=30):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=timeout) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Postgres:
    """A cluster that can be stopped; it does not run as root."""

    def __init__(self, work, databases):
        self.work = work
        self.bin = subprocess.run([ROOT / "scripts/find-postgres"], check=True, capture_output=True, text=True).stdout.strip()
        self.psql = shutil.which("psql") or shutil.which("psql", path=self.bin)
        if not self.psql:
            raise SystemExit("drill: psql is missing; install PostgreSQL's client")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="stxworx-drill.", dir="/tmp"))
        cleanups.append(lambda: shutil.rmtree(self.home, ignore_errors=True))
        self.account = {}
        if os.getuid() == 0:
            try:
                who = pwd.getpwnam("postgres")
            except KeyError:
                who = pwd.getpwnam("nobody")
            self.account = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
            os.chown(self.home, who.pw_uid, who.pw_gid)
        command = [f"{self.bin}/initdb", "-D", f"{self.home}/data", "-U", "stxworx", "-E", "UTF8", "--no-locale", "-A", "trust", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self.account)
        self.start()
        for name in databases:
            self.sql(f"create database {name}", "postgres")

    def start(self):
        options = ["-k", str(self.home), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=150"]
        command = [f"{self.bin}/postgres", "-D", f"{self.home}/data", *options]
        self.server = start("postgres", command, **dict(self.account, cwd="/", work=self.work))
        until("PostgreSQL answers", lambda: self.sql("select 1", "postgres") == "1")

    def stop(self):
        stop(self.server, signal.SIGQUIT)

    def url(self, name):
        return f"postgres:///{name}?host={self.home}&user=stxworx&sslmode=disable"

    def sql(self, text, name="mirror"):
        command = [self.psql, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", str(self.home), "-U", "stxworx", "-d", name, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{text}: {done.stderr}")
        return done.stdout.strip()

    def shut(self, name):
        """Lets nobody into a database, and throws out who is there."""
        self.sql(f"alter database {name} with allow_connections false", "postgres")
        self.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'", "postgres")

    def open(self, name):
        self.sql(f"alter database {name} with allow_connections true", "postgres")

    def lock(self, table, name="mirror"):
        """Holds a lock until the returned function is called."""
        command = [self.psql, "-X", "-q", "-h", str(self.home), "-U", "stxworx", "-d", name]
        session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        children.append(session)
        session.stdin.write(f"begin; lock table {table} in access exclusive mode;\n".encode())
        session.stdin.flush()
        return lambda: (session.stdin.close(), session.wait())


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers["content-length"] or 0))

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # Whoever asked has gone away.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Sink(Quiet):
    """An observer that remembers what the node posts, and a receiver that refuses webhooks."""

    posted = []

    def do_POST(self):
        body = self.body()
        if self.path == "/new_block":
            Sink.posted.append(body)
            del Sink.posted[:-400]
        self.answer(500 if self.path == "/refuse" else 200, b"{}")


class Liar(Quiet):
    """A node's RPC, which for some time says something else of an account, or takes no transaction."""

    node = balance = None
    nonces_more, refuses = 0, False

    def pass_on(self, body=None):
        if body is not None and Liar.refuses and self.path.startswith("/v2/transactions"):
            return self.answer(500, b"{}")
        headers = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "authorization")}
        try:
            with urllib.request.urlopen(urllib.request.Request(Liar.node + self.path, body, headers), timeout=20) as said:
                code, text = said.status, said.read()
        except urllib.error.HTTPError as error:
            code, text = error.code, error.read()
        except OSError:
            return self.answer(502, b"{}")
        if self.path.startswith("/v2/accounts/") and code == 200:
            account = json.loads(text)
            account["nonce"] += Liar.nonces_more
            if Liar.balance is not None:
                account["balance"] = f"0x{Liar.balance:032x}"
            text = json.dumps(account).encode()
        if self.path.startswith("/v2/info") and code == 200 and Liar.nonces_more:
            # What a node says that is ahead of the mirror proves nothing; this one is a little behind.
            info = json.loads(text)
            info["stacks_tip_height"] = max(1, info["stacks_tip_height"] - 40)
            text = json.dumps(info).encode()
        self.answer(code, text)

    def do_GET(self):
        self.pass_on()

    def do_POST(self):
        self.pass_on(self.body())


class Watcher:
    """Prometheus with the project's rules, in a hurry: their waiting (`for:`) is a second."""

    def __init__(self, work):
        tools = subprocess.run([ROOT / "scripts/prometheus"], check=True, capture_output=True, text=True).stdout.strip()
        rules = (ROOT / "config/prometheus/alerts.yml").read_text()
        self.names = re.findall(r"- alert: (\w+)", rules)
        self.port, self.config, self.targets = port(), work / "prometheus.yml", []
        (work / "alerts.yml").write_text(re.sub(r"(?m)^(\s+for: )(?!0).*$", r"\g<1>1s", rules))
        self.write()
        data = ["--storage.tsdb.path", str(work / "tsdb"), "--web.listen-address", f"127.0.0.1:{self.port}"]
        self.child = start("prometheus", [f"{tools}/prometheus", "--config.file", str(self.config), *data], work=work)
        until("Prometheus is ready", lambda: status(f"http://127.0.0.1:{self.port}/-/ready") == 200)

    def write(self):
        jobs = {}
        for job, target in self.targets:
            jobs.setdefault(job, []).append(f"127.0.0.1:{target}")
        each = [{"job_name": job, "static_configs": [{"targets": ports}]} for job, ports in jobs.items()]
        self.config.write_text(json.dumps({
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"], "scrape_configs": each,
        }))

    def watch(self, *targets):
        """Pairs of a job and a port, besides those that are watched."""
        self.targets += targets
        self.write()
        self.child.send_signal(signal.SIGHUP)

    def forget(self, *ports):
        self.targets = [(job, target) for job, target in self.targets if target not in ports]
        self.write()
        self.child.send_signal(signal.SIGHUP)

    def firing(self):
        alerts = ask(f"http://127.0.0.1:{self.port}/api/v1/alerts")["data"]["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def value(self, query):
        found = ask(f"http://127.0.0.1:{self.port}/api/v1/query?query={urllib.parse.quote(query)}")["data"]["result"]
        return float(found[0]["value"][1]) if found else None


def finish():
    for child in reversed(children):
        stop(child)
    for undo in cleanups:
        undo()
