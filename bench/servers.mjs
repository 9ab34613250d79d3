// The servers that are compared: each forwards to the responder, keeps answers, and serves what it can of UDP, TCP, DoT
// and DoH with one worker and a self-signed P-256 certificate.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { find, folder, outputOf } from './processes.mjs'

/**
 * @typedef {object} Server
 * @property {string} name
 * @property {string} version
 * @property {{ do53: number, tcp?: number, dot?: number, doh?: number }} ports only of what it can serve
 * @property {(upstream: 'udp' | 'dot') => string[] | undefined} commandFor undefined: it cannot ask that kind of upstream
 * @property {Record<string, string>} environment variables it gets beside ours
 * @property {import('node:child_process').ChildProcess} [child] while it runs
 */

/** @typedef {{ upstream: { kind: 'udp' | 'dot', port: number }, ports: Required<Server['ports']>, certificate: Certificate }} Setup */
/** @typedef {{ key: string, cert: string }} Certificate */

const HEARTH = new URL('../dist/hearth.mjs', import.meta.url).pathname
/** What the certificate of the responder and of every server says. */
const TLS_NAME = 'router.bench.example.net'
/** For a device of 256 MB, as the OpenWrt package sets them; taken with `--small`. */
export const SMALL_FLAGS = ['--max-old-space-size=64', '--max-semi-space-size=2', '--optimize-for-size']
/** As scripts/start sets it, and why is said there. */
export const SMALL_ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: '66000' }

const ALL = ['do53', 'tcp', 'dot', 'doh']
/** dnsmasq makes a process for each TCP connection and ends it after a hundred queries, so it has no `tcp`. */
/** Program to look for, how it says its version, what it serves and asks, and the command that starts it. Ours comes first. */
const KINDS = [
  {
    name: 'hearth',
    program: 'node',
    version: [HEARTH, '--version'],
    serves: ALL,
    asks: ['udp', 'dot'],
    command: hearth,
  },
  { name: 'unbound', program: 'unbound', version: ['-V'], serves: ALL, asks: ['udp', 'dot'], command: unbound },
  { name: 'dnsdist', program: 'dnsdist', version: ['--version'], serves: ALL, asks: ['udp', 'dot'], command: dnsdist },
  { name: 'kresd', program: 'kresd', version: ['--version'], serves: ALL, asks: ['udp', 'dot'], command: kresd },
  { name: 'named', program: 'named', version: ['-v'], serves: ALL, asks: ['udp'], command: named },
  { name: 'dnsmasq', program: 'dnsmasq', version: ['--version'], serves: ['do53'], asks: ['udp'], command: dnsmasq },
  {
    name: 'smartdns',
    program: 'smartdns',
    version: ['-v'],
    serves: ['do53', 'tcp'],
    asks: ['udp', 'dot'],
    command: smartdns,
  },
]

/**
 * @param {{ udp: number, dot: number }} upstreams ports of the responder
 * @param {number[]} ports three for each kind
 * @param {Certificate | undefined} certificate
 * @returns {Promise<{ servers: Server[], leftOut: string[] }>}
 */
export async function installedServers(upstreams, ports, certificate, { small }) {
  const [servers, leftOut] = [[], []]
  for (const [index, kind] of KINDS.entries()) {
    const path = kind.name === 'hearth' ? process.execPath : find(kind.program)
    if (!path) leftOut.push(`${kind.name} is not installed`)
    else if (!certificate && kind.name !== 'hearth')
      leftOut.push(`${kind.name} needs a certificate, and openssl is not installed`)
    else {
      const [do53, dot, doh] = ports.slice(3 * index)
      const all = { do53, tcp: do53, dot, doh }
      const printed = await outputOf([path, ...kind.version]).catch((error) => error.message)
      const flags = kind.name === 'hearth' && small ? SMALL_FLAGS : []
      servers.push({
        name: kind.name,
        version: /\d+(\.\d+)+\S*/.exec(printed)?.[0] ?? 'of unknown version',
        environment: kind.name === 'hearth' && small ? SMALL_ENVIRONMENT : {},
        ports: Object.fromEntries(kind.serves.map((port) => [port, all[port]])),
        commandFor: (upstream) =>
          kind.asks.includes(upstream)
            ? [
                path,
                ...flags,
                ...kind.command({ upstream: { kind: upstream, port: upstreams[upstream] }, ports: all, certificate }),
              ]
            : undefined,
      })
    }
  }
  return { servers, leftOut }
}

export const KINDS_COUNT = KINDS.length

/** @returns {Promise<Certificate | undefined>} */
export async function makeCertificate() {
  if (!find('openssl')) return undefined
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const subject = ['-subj', '/CN=bench', '-addext', `subjectAltName=DNS:${TLS_NAME}`, '-days', '30']
  await outputOf([find('openssl'), 'req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject])
  return { key, cert }
}

function write(name, text) {
  const file = join(folder, name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

/** Its operator does not exist, so it shows its self-signed certificate, which is P-256 too. @param {Setup} setup */
function hearth({ upstream, ports, certificate }) {
  mkdirSync(join(folder, 'hearth'), { mode: 0o700, recursive: true })
  write('hearth.key', Buffer.alloc(32, 1).toString('base64url'))
  const url =
    upstream.kind === 'udp'
      ? `udp://127.0.0.1:${upstream.port}`
      : `tls://127.0.0.1:${upstream.port}#${TLS_NAME}\n    trust: ${certificate.cert}`
  const file = write(
    `hearth-${upstream.kind}.yaml`,
    `state: ./hearth
log: error
identity:
  name: ${TLS_NAME}
  acme-delegation:
    directory: https://127.0.0.1:1/directory
    eab: { kid: bench, key-file: ./hearth.key }
listen:
  do53: ["127.0.0.1:${ports.do53}"]
  dot: ["127.0.0.1:${ports.dot}"]
  doh: ["127.0.0.1:${ports.doh}"]
access: { allow: [127.0.0.0/8] }
upstreams:
  - url: ${url}
cache: { size: 64MiB }
`,
  )
  return [HEARTH, 'run', '--config', file]
}

/** @param {Setup} setup */
function unbound({ upstream, ports, certificate }) {
  const forward =
    upstream.kind === 'udp'
      ? `forward-addr: 127.0.0.1@${upstream.port}`
      : `forward-addr: 127.0.0.1@${upstream.port}#${TLS_NAME}\n  forward-tls-upstream: yes`
  const file = write(
    `unbound-${upstream.kind}.conf`,
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
  tls-cert-bundle: "${certificate.cert}"
  incoming-num-tcp: 2000
  msg-cache-size: 64m
  rrset-cache-size: 64m
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
forward-zone:
  name: "."
  ${forward}
remote-control:
  control-enable: no
`,
  )
  return ['-d', '-c', file]
}

/** @param {Setup} setup */
function dnsdist({ upstream, ports, certificate: { key, cert } }) {
  const tls = upstream.kind === 'dot' ? `, tls = "openssl", caStore = "${cert}", subjectName = "${TLS_NAME}"` : ''
  const file = write(
    `dnsdist-${upstream.kind}.conf`,
    `setACL({"127.0.0.0/8"})
setSecurityPollSuffix("")
setMaxTCPClientThreads(1)
setLocal("127.0.0.1:${ports.do53}")
addTLSLocal("127.0.0.1:${ports.dot}", "${cert}", "${key}", { provider = "openssl" })
addDOHLocal("127.0.0.1:${ports.doh}", "${cert}", "${key}", "/dns-query")
newServer({ address = "127.0.0.1:${upstream.port}"${tls} }):setUp()
getPool(""):setCache(newPacketCache(200000, { maxTTL = 86400 }))
`,
  )
  return ['--supervised', '--disable-syslog', '-C', file]
}

/** @param {Setup} setup */
function kresd({ upstream, ports, certificate: { key, cert } }) {
  const directory = join(folder, `kresd-${upstream.kind}`)
  mkdirSync(directory, { recursive: true })
  const target =
    upstream.kind === 'udp'
      ? `policy.STUB('127.0.0.1@${upstream.port}')`
      : `policy.TLS_FORWARD({{'127.0.0.1@${upstream.port}', hostname='${TLS_NAME}', ca_file='${cert}'}})`
  const file = write(
    `kresd-${upstream.kind}.conf`,
    `net.listen('127.0.0.1', ${ports.do53}, { kind = 'dns' })
net.listen('127.0.0.1', ${ports.dot}, { kind = 'tls' })
net.listen('127.0.0.1', ${ports.doh}, { kind = 'doh2' })
net.tls('${cert}', '${key}')
trust_anchors.remove('.')
cache.size = 64 * MB
policy.add(policy.all(${target}))
`,
  )
  return ['-n', '-c', file, directory]
}

/** @param {Setup} setup */
function named({ upstream, ports, certificate: { key, cert } }) {
  const file = write(
    'named.conf',
    `tls bench { cert-file "${cert}"; key-file "${key}"; };
http bench { endpoints { "/dns-query"; }; };
options {
  directory "${folder}";
  pid-file none;
  listen-on port ${ports.do53} { 127.0.0.1; };
  listen-on port ${ports.dot} tls bench { 127.0.0.1; };
  listen-on port ${ports.doh} tls bench http bench { 127.0.0.1; };
  listen-on-v6 { none; };
  tcp-clients 2000;
  forward only;
  forwarders port ${upstream.port} { 127.0.0.1; };
  dnssec-validation no;
  recursion yes;
  allow-query { 127.0.0.0/8; };
  max-cache-size 64m;
};
controls { };
`,
  )
  return ['-f', '-n', '1', '-c', file]
}

/** @param {Setup} setup */
function dnsmasq({ upstream, ports }) {
  const file = write(
    'dnsmasq.conf',
    `port=${ports.do53}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
user=root
pid-file=
cache-size=10000
dns-forward-max=1000
server=127.0.0.1#${upstream.port}
`,
  )
  return ['-k', '-C', file]
}

/** @param {Setup} setup */
function smartdns({ upstream, ports }) {
  const server =
    upstream.kind === 'udp'
      ? `server 127.0.0.1:${upstream.port}`
      : `server-tls 127.0.0.1:${upstream.port} -host-name ${TLS_NAME} -no-check-certificate`
  const file = write(
    `smartdns-${upstream.kind}.conf`,
    `bind 127.0.0.1:${ports.do53}
bind-tcp 127.0.0.1:${ports.do53}
cache-size 100000
prefetch-domain no
serve-expired no
speed-check-mode none
dualstack-ip-selection no
log-level fatal
log-file ${join(folder, 'smartdns-own.log')}
${server}
`,
  )
  return ['-f', '-c', file, '-p', join(folder, `smartdns-${upstream.kind}.pid`)]
}
