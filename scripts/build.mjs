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

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  logLevel: 'warning',
  banner: { js: banner },
  define: { 'process.env.HEARTH_VERSION': JSON.stringify(version) },
  // Our own client makes every request; axios is never called (src/acme/client/plumbing.ts).
  alias: { 'node-forge': './scripts/empty.cjs' },
  external: ['pg-native', '@electric-sql/pglite', '@electric-sql/pglite/node-postgres'],
}

for (const program of ['hearth', 'hearth-operator'])
  await build({ ...common, entryPoints: [`src/bin/${program}.ts`], outfile: `dist/${program}.mjs` })
