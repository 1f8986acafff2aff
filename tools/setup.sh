#!/bin/sh
# Builds .venv from requirements.lock and installs ionm into it, editable. Does nothing when nothing has changed.
# Needs Python >= 3.11 and, for the first run, uv or pip. PYTHON=... chooses another interpreter.
set -eu
cd "$(dirname "$0")/.."
PY=${PYTHON:-python3}
STAMP=.venv/ionm-stamp

fail() { echo "ionm set-up: $*" >&2; exit 1; }
say() { if [ -t 2 ]; then echo "ionm set-up: $*" >&2; fi; }

"$PY" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "needs Python 3.11 or newer; '$PY' is $("$PY" --version 2>/dev/null || echo not found); name another with PYTHON=/path/to/python3"

# Everything that decides what .venv holds: interpreter, lock, build settings, C sources, compiler and headers.
key() {
  "$PY" - <<'END'
import hashlib, pathlib, shutil, sys, sysconfig
print(sys.version_info[:3], sys.implementation.cache_tag, sysconfig.get_platform(), end=" ")
print(bool(shutil.which("cc")), pathlib.Path(sysconfig.get_path("include"), "Python.h").exists(), end=" ")
files = ["requirements.lock", "pyproject.toml", "setup.py", *sorted(map(str, pathlib.Path("ionm").rglob("*.[ch]")))]
print(hashlib.sha256(b"".join(pathlib.Path(name).read_bytes() for name in files)).hexdigest())
END
}

# Python's headers, where a compiler is there to use them; only ever for the system's own Python.
headers() {
  command -v cc >/dev/null && command -v apt-get >/dev/null || return 0
  PACKAGE=$("$PY" - <<'END'
import pathlib, sys, sysconfig
missing = not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()
print(f"python3.{sys.version_info[1]}-dev" if missing and sys.base_prefix == "/usr" else "")
END
  )
  [ -n "$PACKAGE" ] || return 0
  ROOT=
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say "no $PACKAGE and no right to install it: going on without the compiled kernel"
      return 0
    fi
    ROOT="sudo -n"
  fi
  echo "ionm set-up: installing $PACKAGE with apt-get, to compile the kernel" >&2
  BRIEFLY="-qq -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15"
  { $ROOT apt-get $BRIEFLY update &&
    $ROOT env DEBIAN_FRONTEND=noninteractive apt-get $BRIEFLY install -y --no-install-recommends "$PACKAGE"; } >/dev/null 2>&1 ||
    say "could not install $PACKAGE: going on without the compiled kernel"
}

# uv does not read pip's settings: hand them over in the environment of this run; nothing is written.
# ("pip config get" of Debian 12 looks at the user's file only, "pip config list" at all of them.)
hand_over() {
  eval "$("$PY" - <<'END'
import ast, os, shlex, subprocess, sys
command = [sys.executable, "-m", "pip", "config", "list"]
listing = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
stored = dict(line.split("=", 1) for line in listing.stdout.splitlines() if "=" in line)
def setting(name):
    in_file = stored.get(f"install.{name}") or stored.get(f"global.{name}") or "''"
    return (os.environ.get("PIP_" + name.replace("-", "_").upper()) or ast.literal_eval(in_file)).split()
handed = {
    "UV_DEFAULT_INDEX": "".join(setting("index-url")),
    "UV_INDEX": " ".join(setting("extra-index-url")),
    "UV_INDEX_STRATEGY": "unsafe-best-match",  # look at every index, as pip does; the lock's hashes decide
    "UV_FIND_LINKS": ",".join(setting("find-links")),
    "SSL_CERT_FILE": "".join(setting("cert")),
}
for name, value in handed.items():
    if value and name not in os.environ:
        print(f"export {name}={shlex.quote(value)}")
END
  )"
}

# The installer: uv from PATH, else uv in .tools, else pip. --target works on an externally managed Python.
into_tools() {
  PIP_ROOT_USER_ACTION=ignore "$PY" -m pip install --quiet --disable-pip-version-check --upgrade --target .tools "$@"
}
find_uv() {
  if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then UV=uv; return; fi
  if [ -x .tools/bin/uv ]; then UV=.tools/bin/uv; return; fi
  "$PY" -m pip --version >/dev/null 2>&1 || fail "needs uv or pip; on Debian and Ubuntu: apt-get install python3-pip"
  say "getting uv"
  if into_tools "uv>=0.8" 2>/dev/null; then UV=.tools/bin/uv; return; fi
  UV=
  say "no uv to be had: going on with pip, which takes longer"
  [ -d .tools/virtualenv ] || into_tools virtualenv
}

install() {
  say "installing $(grep -c '^[a-z].*==' requirements.lock) locked packages into .venv"
  rm -f ionm/_kernels*.so  # one that fails to build must not leave an older one in use
  if [ -n "$UV" ]; then
    [ -d .venv ] || "$UV" venv --quiet --python "$PY" .venv
    "$UV" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
    say "installing ionm"
    "$UV" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --reinstall --editable .
  else
    [ -x .venv/bin/pip ] || PYTHONPATH=.tools "$PY" -m virtualenv --quiet --clear --no-periodic-update .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
    say "installing ionm"
    PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check \
      --no-deps --no-build-isolation --editable .
  fi
}

[ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(key)" ] && exit 0
headers
KEY=$(key)
WANT=$("$PY" -c 'import sys; print(sys.version)')
[ "$(.venv/bin/python -c 'import sys; print(sys.version)' 2>/dev/null || true)" = "$WANT" ] || rm -rf .venv
rm -f "$STAMP"
hand_over
find_uv
install
printf %s "$KEY" >"$STAMP"
KERNEL=$(.venv/bin/python -c 'from ionm.compiled import kernel; print(kernel())' 2>/dev/null || true)
if [ -n "$KERNEL" ]; then echo "ionm set-up: the filter kernel in use is $KERNEL" >&2; fi
