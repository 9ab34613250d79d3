# Shared by ./scripts/start and ./scripts/test: checks Node, installs the packages of the lockfile. Safe to repeat.
# Sourced with $root set to the folder of the repository.

say() { printf '== %s\n' "$*" >&2; }
stop() { printf 'error: %s\n' "$*" >&2; exit 1; }

check_node() {
  command -v node >/dev/null || stop 'Node.js is missing; install version 20.19 or newer (https://nodejs.org)'
  command -v npm >/dev/null || stop 'npm is missing; it comes with Node.js'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    stop "Node.js $(node --version) is too old; install version 20.19 or newer"
}

install_packages() {
  local installed="$root/node_modules/.package-lock.json"
  if [ -e "$installed" ] && [ ! "$root/package-lock.json" -nt "$installed" ]; then return; fi
  say 'installing the packages of the lockfile'
  # Not `npm ci`: it refuses the lockfile when a registry lacks optional packages for platforms other than this one.
  npm install --no-save --prefix "$root" --loglevel=error >&2
  touch "$installed"
}

build() {
  say 'building dist/'
  npm run --silent --prefix "$root" build >&2
}
