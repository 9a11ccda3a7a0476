"""A stand-in for systemctl in scripts/deploy-drill: does what the unit files say, and confines nothing."""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

prefix, pg, port, uid, postgres = sys.argv[1:6]
verb, *rest = sys.argv[6:]
prefix = pathlib.Path(prefix)
UNDER = ("/etc/stxworx", "/usr/local/", "/var/backups", "/var/run/postgresql", "/var/lib/postgresql")


def here(text):
    """A path of the server, below the prefix."""
    return f"{prefix}{text}" if text.startswith(UNDER) else text


def settings(unit):
    """What the unit and its drop-ins say: lists by name. An empty value empties the list, as systemd has it."""
    folder = prefix / "etc/systemd/system"
    files = [folder / unit, *sorted((folder / f"{unit}.d").glob("*.conf"))]
    found = {}
    for file in files:
        for line in file.read_text().splitlines():
            line = line.strip()
            if not line or line.startswith(("#", ";", "[")):
                continue
            name, value = line.split("=", 1)
            if value:
                found.setdefault(name.strip(), []).append(value.strip())
            else:
                found[name.strip()] = []
    return found


def start(unit):
    says = settings(unit)
    account = says.get("User", ["root"])[-1]
    # A dynamic account is anybody who is nobody else.
    name = postgres if account == "postgres" else "nobody"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for value in says.get("Environment", []):
        for word in shlex.split(value):
            key, text = word.split("=", 1)
            environment[key] = here(text)
    for value in says.get("EnvironmentFile", []):
        file = pathlib.Path(here(value.lstrip("-")))
        if not file.exists() and not value.startswith("-"):
            sys.exit(f"{unit}: no {file}")
        if file.exists():
            lines = [line for line in file.read_text().splitlines() if "=" in line]
            environment.update(line.split("=", 1) for line in lines)
    if says.get("LoadCredential"):
        folder = prefix / "run/credentials" / unit
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for value in says["LoadCredential"]:
            credential, source = value.split(":", 1)
            shutil.copyfile(here(source), folder / credential)
            os.chmod(folder / credential, 0o400)
        if uid == "0":
            for path in [folder, *folder.iterdir()]:
                shutil.chown(path, name)
        environment["CREDENTIALS_DIRECTORY"] = str(folder)
    # Of the drill, not of the unit: free ports.
    environment.update(word.split("=", 1) for word in os.environ["DRILL_LISTEN"].split())
    if account == "postgres":
        environment.update(PGPORT=port, PGUSER="postgres", PATH=f"{pg}:{environment['PATH']}", LC_ALL="C")
    command = [here(word) for word in shlex.split(says["ExecStart"][-1])]
    if uid == "0":
        group = subprocess.check_output(["id", "-g", name], text=True).strip()
        command = ["setpriv", f"--reuid={name}", f"--regid={group}", "--clear-groups", *command]
    log = open(prefix / "run" / f"{unit}.log", "ab")
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
    if says.get("Type", ["simple"])[-1] == "oneshot":
        if child.wait() != 0:
            sys.exit(f"{unit} failed: {(prefix / 'run' / f'{unit}.log').read_text()}")
        return
    (prefix / "run" / f"{unit}.pid").write_text(str(child.pid))
    time.sleep(0.5)
    if child.poll() is not None:
        sys.exit(f"{unit} ended at once ({child.returncode}): {(prefix / 'run' / f'{unit}.log').read_text()}")


units = [word for word in rest if not word.startswith("-")]
for unit in units:
    if not (prefix / "etc/systemd/system" / unit).exists():
        sys.exit(f"systemctl: there is no unit {unit}")
if verb == "start" or (verb == "enable" and "--now" in rest):
    for unit in units:
        # A timer has nothing to run now; the service that it starts has to be there.
        if unit.endswith(".timer"):
            settings(unit.replace(".timer", ".service"))
        else:
            start(unit)
elif verb != "daemon-reload":
    sys.exit(f"systemctl {verb} is not known here")
