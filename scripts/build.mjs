// Bundles the two programs into dist/. Usage: node scripts/build.mjs
import { readFileSync } from 'node:fs'
import { build } from 'esbuild'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

// CommonJS dependencies inside an ES module still reach for these three.
const banner = `#!/usr/bin/env node
import { createRequire as __createRequire } from 'node:module'
import { fileURLToPath as __fileURLToPath } from 'node:url'
const require = __createRequire(import.meta.url), __filename = __fileURLToPath(import.meta.url)
const __dirname = __fileURLToPath(new URL('.', import.meta.url))`

// acme-client signs for us and our own transport sends (src/acme/client/plumbing.ts). Its HTTP client and its X.509
// libraries are never called, and would be half of the bundle; of the latter it only needs one setter when it loads.
const withoutUnused = {
  name: 'without-unused',
  setup(build) {
    build.onResolve({ filter: /^(\.\/axios|\.\/crypto\/forge|@peculiar\/x509|asn1js)$/ }, ({ importer }) =>
      importer.includes('acme-client') ? { path: 'unused', namespace: 'unused' } : undefined,
    )
    const contents = 'module.exports = { cryptoProvider: { set() {} } }'
    build.onLoad({ filter: /^unused$/, namespace: 'unused' }, () => ({ contents, loader: 'js' }))
  },
}

// The clock of a router cannot be right before this moment. SOURCE_DATE_EPOCH makes builds repeatable.
const builtMs = process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) * 1000 : Date.now()

const common = {
  plugins: [withoutUnused],
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // Names stay, for the stack in somebody's report. `keepNames` would give them back at run time, which costs a
  // microsecond for each closure.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  banner: { js: banner },
  define: {
    'process.env.HEARTH_VERSION': JSON.stringify(version),
    'process.env.HEARTH_BUILT_MS': JSON.stringify(String(builtMs)),
  },
  external: ['pg-native', '@electric-sql/pglite', '@electric-sql/pglite/node-postgres'],
}

// The page of the operator is part of its program: nothing but the one file has to be installed.
const page = {}
for (const name of ['index.html', 'page.css', 'page.js', 'icon.svg'])
  page[name] = readFileSync(new URL(`../src/operator/page/${name}`, import.meta.url), 'utf8')
const ofProgram = {
  hearth: {},
  'hearth-operator': { 'process.env.HEARTH_OPERATOR_PAGE': JSON.stringify(JSON.stringify(page)) },
}

for (const [program, define] of Object.entries(ofProgram))
  await build({
    ...common,
    define: { ...common.define, ...define },
    entryPoints: [`src/bin/${program}.ts`],
    outfile: `dist/${program}.mjs`,
  })
