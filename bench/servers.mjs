// The servers that are compared: each forwards to the responder, keeps answers, and serves UDP, TCP, DoT and DoH with
// one worker and a self-signed P-256 certificate.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { find, folder, outputOf } from './processes.mjs'

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {string} version
 * @property {{ do53: number, dot: number, doh: number }} ports
 * @property {string[]} command
 * @property {number} [pid] while it runs
 */

/** @typedef {{ upstream: number, ports: Server['ports'], certificate?: { key: string, cert: string } }} Setup */

const HEARTH = new URL('../dist/hearth.mjs', import.meta.url).pathname

/** Program to look for, its version, and the command that starts it. The first one is ours. */
const KINDS = [
  { name: 'hearth', program: 'node', version: [process.execPath, HEARTH, '--version'], command: hearth },
  { name: 'unbound', program: 'unbound', version: ['unbound', '-V'], command: unbound },
  { name: 'dnsdist', program: 'dnsdist', version: ['dnsdist', '--version'], command: dnsdist },
]

/**
 * @param {number} upstream port of the responder
 * @param {number[]} ports three for each kind
 * @returns {Promise<{ servers: Server[], leftOut: string[] }>}
 */
export async function installedServers(upstream, ports) {
  const certificate = find('openssl') ? await makeCertificate() : undefined
  const [servers, leftOut] = [[], []]
  for (const [index, kind] of KINDS.entries()) {
    const path = kind.name === 'hearth' ? process.execPath : find(kind.program)
    if (!path) leftOut.push(`${kind.name} is not installed`)
    else if (!certificate && kind.name !== 'hearth')
      leftOut.push(`${kind.name} needs a certificate, and openssl is not installed`)
    else {
      const [do53, dot, doh] = ports.slice(3 * index)
      const setup = { upstream, ports: { do53, dot, doh }, certificate }
      const printed = await outputOf([path, ...kind.version.slice(1)]).catch(() => '')
      const version = /\d+(\.\d+)+\S*/.exec(printed)?.[0] ?? 'unknown'
      servers.push({ name: kind.name, version, ports: setup.ports, command: [path, ...kind.command(setup)] })
    }
  }
  return { servers, leftOut }
}

export const KINDS_COUNT = KINDS.length

async function makeCertificate() {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const subject = ['-subj', '/', '-addext', 'subjectAltName=DNS:router.bench.example.net', '-days', '30']
  await outputOf([find('openssl'), 'req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject])
  return { key, cert }
}

function write(name, text) {
  const file = join(folder, name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

/** Its operator does not exist, so it shows its self-signed certificate, which is P-256 too. @param {Setup} setup */
function hearth({ upstream, ports }) {
  mkdirSync(join(folder, 'hearth'), { mode: 0o700 })
  write('hearth.key', Buffer.alloc(32, 1).toString('base64url'))
  const file = write(
    'hearth.yaml',
    `state: ./hearth
log: error
identity:
  name: router.bench.example.net
  acme-delegation:
    directory: https://127.0.0.1:1/directory
    eab: { kid: bench, key-file: ./hearth.key }
listen:
  do53: ["127.0.0.1:${ports.do53}"]
  dot: ["127.0.0.1:${ports.dot}"]
  doh: ["127.0.0.1:${ports.doh}"]
access: { allow: [127.0.0.0/8] }
upstreams:
  - url: udp://127.0.0.1:${upstream}
`,
  )
  return [HEARTH, 'run', '--config', file]
}

/** @param {Setup} setup */
function unbound({ upstream, ports, certificate }) {
  const file = write(
    'unbound.conf',
    `server:
  chroot: ""
  directory: "${folder}"
  username: ""
  pidfile: ""
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  interface: 127.0.0.1@${ports.do53}
  interface: 127.0.0.1@${ports.dot}
  interface: 127.0.0.1@${ports.doh}
  tls-port: ${ports.dot}
  https-port: ${ports.doh}
  tls-service-key: "${certificate.key}"
  tls-service-pem: "${certificate.cert}"
  incoming-num-tcp: 1000
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@${upstream}
remote-control:
  control-enable: no
`,
  )
  return ['-d', '-c', file]
}

/** @param {Setup} setup */
function dnsdist({ upstream, ports, certificate: { key, cert } }) {
  const file = write(
    'dnsdist.conf',
    `setACL({"127.0.0.0/8"})
setSecurityPollSuffix("")
setMaxTCPClientThreads(1)
setLocal("127.0.0.1:${ports.do53}")
addTLSLocal("127.0.0.1:${ports.dot}", "${cert}", "${key}", { provider = "openssl" })
addDOHLocal("127.0.0.1:${ports.doh}", "${cert}", "${key}", "/dns-query")
newServer({ address = "127.0.0.1:${upstream}" }):setUp()
getPool(""):setCache(newPacketCache(100000, { maxTTL = 86400 }))
`,
  )
  return ['--supervised', '--disable-syslog', '-C', file]
}
