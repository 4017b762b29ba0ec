# Sourced by scripts/benchmark and scripts/stress: makes benchmarks/.venv with what requirements-benchmarks.lock pins.
# The tests' environment is another one, and never sees what Confide is only measured against.
stamp=benchmarks/.venv/.confide
wanted=$(cat requirements-benchmarks.lock requirements-data.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if ! grep -qsx "$wanted" "$stamp"; then
  python=$(command -v python3.11 || command -v python3 || true)
  [ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "Python 3.11 or newer is needed" >&2; exit 2; }
  echo "Setting up benchmarks/.venv ..." >&2
  [ -x benchmarks/.venv/bin/python ] || "$python" -m venv benchmarks/.venv
  benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.9'
  uv() { VIRTUAL_ENV="$PWD/benchmarks/.venv" benchmarks/.venv/bin/uv "$@"; }
  uv pip install --quiet --require-hashes --no-deps -r requirements-benchmarks.lock
  uv pip install --quiet --require-hashes --no-deps -r requirements-data.lock
  uv pip install --quiet --no-deps --no-build-isolation --editable .
  echo "$wanted" > "$stamp"
fi
