import { type Daemon, run, startDaemon } from './daemon.ts'
import { freePorts } from './ports.ts'
import type { Scene } from './scene.ts'

export interface Unbound {
  readonly ports: { readonly plain: number; readonly tls: number; readonly https: number }
  start(): Promise<Daemon>
}

/** A real unbound that knows only `records`, over plain DNS, TLS and HTTPS. */
export async function unboundIn(
  scene: Scene,
  name: string,
  options: {
    readonly certificate: { readonly key: string; readonly chain: string }
    readonly records: readonly string[]
  },
): Promise<Unbound> {
  const [plain, tls, https] = (await freePorts(3)) as [number, number, number]
  const directory = scene.path(name)
  const { certificate, records } = options
  const settings = await scene.write(
    `${name}/unbound.conf`,
    `server:
  interface: 127.0.0.1@${plain}
  interface: 127.0.0.1@${tls}
  interface: 127.0.0.1@${https}
  tls-port: ${tls}
  https-port: ${https}
  tls-service-key: ${await scene.write(`${name}/tls.key`, certificate.key)}
  tls-service-pem: ${await scene.write(`${name}/tls.pem`, certificate.chain)}
  directory: ${directory}
  pidfile: ${directory}/unbound.pid
  chroot: ""
  username: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  log-queries: yes
  local-zone: "." static
${records.map((record) => `  local-data: '${record}'\n`).join('')}
remote-control:
  control-enable: no
`,
  )
  return {
    ports: { plain, tls, https },
    async start() {
      const daemon = startDaemon('unbound', ['-d', '-c', settings])
      await daemon.until(async () => {
        const { code } = await run('kdig', ['@127.0.0.1', '-p', String(plain), '+timeout=1', '+retry=0', '.', 'NS'])
        if (code !== 0) throw new Error('no answer yet')
      })
      return daemon
    },
  }
}
