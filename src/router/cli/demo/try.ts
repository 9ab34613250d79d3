import type { DemoReport } from './demo.ts'
import { DEMO_ZONE } from './zone.ts'

/** What to paste into a second terminal. Every command verifies the router by its name against the demo's root. */
export function commandsToTry(report: DemoReport): string {
  const { name, trust, do53, dot, doh, page } = report
  const [host, dotPort] = dot.split(':')
  const [, do53Port] = do53.split(':')
  const dohPort = new URL(doh).port
  return `
Your router is ${name}. It answers until you press Ctrl-C.
Paste into a second terminal (kdig is in Debian's knot-dnsutils):

  # DNS over TLS, the certificate verified by name
  kdig @${host} -p ${dotPort} +tls-ca=${trust} +tls-hostname=${name} www.${DEMO_ZONE}

  # DNS over HTTPS, the same
  kdig @${host} -p ${dohPort} +https=/dns-query +tls-ca=${trust} +tls-hostname=${name} www.${DEMO_ZONE}

  # a web page whose name curl resolves through the router
  curl --cacert ${trust} --resolve ${name}:${dohPort}:${host} --doh-url ${doh} ${page}

  # what the router tells a client that looks for encryption (DDR)
  kdig @${host} -p ${do53Port} _dns.resolver.arpa SVCB

  # without kdig or curl
  node ${process.argv[1]} query --server tls://${dot}#${name} --trust ${trust} www.${DEMO_ZONE}
  node ${process.argv[1]} status --config ${report.settings.router}
  node ${process.argv[1]} advertise --config ${report.settings.router}
  node ${process.argv[1]} identity renew --config ${report.settings.router}
`
}
