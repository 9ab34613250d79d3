import { Fault } from '../../../core/fault.ts'
import { DEMO_ZONE } from './zone.ts'

export interface DemoPorts {
  readonly do53: number
  readonly dot: number
  readonly doh: number
  readonly operator: number
  readonly page: number
}

const USUAL: DemoPorts = { do53: 5453, dot: 8853, doh: 8443, operator: 7443, page: 8081 }
const PORT_MAX = 65_535

/** The usual ports (design §4), or five in a row from the base. */
export function portsFrom(base: string | undefined): DemoPorts {
  if (base === undefined) return USUAL
  const first = Number(base)
  if (!/^\d+$/.test(base) || first < 1 || first + 4 > PORT_MAX)
    throw new Fault('USAGE', `--port-base ${base}: expected a port from 1 to ${PORT_MAX - 4}`)
  return { do53: first, dot: first + 1, doh: first + 2, operator: first + 3, page: first + 4 }
}

const OPERATOR_PREFIX = 'operator.'

/** Sorts `--set` into those of the router and those of the operator. */
export function splitSets(sets: readonly string[]): { readonly router: string[]; readonly operator: string[] } {
  return {
    router: sets.filter((set) => !set.startsWith(OPERATOR_PREFIX)),
    operator: sets.filter((set) => set.startsWith(OPERATOR_PREFIX)).map((set) => set.slice(OPERATOR_PREFIX.length)),
  }
}

export function operatorSettings(demo: {
  readonly state: string
  readonly port: number
  readonly lifetime: string
}): string {
  return `# Settings of the demo's operator service.
state: ${text(demo.state)}
listen:
  api: 127.0.0.1:${demo.port}
base-url: https://127.0.0.1:${demo.port}
zone:
  name: cpe.example
authorities:
  - name: internal
    kind: internal
delegation:
  lifetime: ${demo.lifetime}
  min-lifetime: 1s
`
}

export function routerSettings(demo: {
  readonly state: string
  readonly name: string
  readonly kid: string
  readonly keyFile: string
  readonly trust: string
  readonly directory: string
  readonly lifetime: string
  readonly ports: DemoPorts
  readonly upstreams: readonly string[]
}): string {
  return `# Settings of the demo's router.
state: ${text(demo.state)}
identity:
  name: ${demo.name}
  solution: acme-delegation
  acme-delegation:
    directory: ${demo.directory}
    eab:
      kid: ${demo.kid}
      key-file: ${text(demo.keyFile)}
    trust: ${text(demo.trust)}
    lifetime: ${demo.lifetime}
listen:
  do53: ["127.0.0.1:${demo.ports.do53}"]
  dot: ["127.0.0.1:${demo.ports.dot}"]
  doh: ["127.0.0.1:${demo.ports.doh}"]
protection:
  rebinding:
    allow: [${DEMO_ZONE}]           # its page is on this machine
upstreams:
${demo.upstreams.map((url) => `  - url: ${text(url)}\n`).join('')}`
}

/** A path may hold anything; JSON strings are YAML. */
function text(value: string): string {
  return JSON.stringify(value)
}
