import { readFile, rm, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, eventually } from './support/daemon.ts'
import { operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { type Knot, startKnot } from './support/knot.ts'
import { pebbleIn } from './support/pebble.ts'
import { opensslClient } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
const VALIDITY_S = 40

describe('dns-01 by a command of the operator', () => {
  const scene = openScene()
  const trust = scene.path('trust.pem')
  const frozen = scene.path('frozen')
  let knot: Knot
  let operator: Daemon
  let router: RouterProgram

  beforeAll(async () => {
    knot = await startKnot(scene, { [ZONE]: '' })
    const pebble = await pebbleIn(scene, { dnsServer: knot.address, validityS: VALIDITY_S })
    await pebble.start()
    const hook = await scene.write(
      'hook.sh',
      `#!/bin/sh
if [ -e ${frozen} ]; then echo "zone ${ZONE} is frozen" >&2; exit 3; fi
case $1 in present) verb=add ;; cleanup) verb=del ;; esac
printf 'server 127.0.0.1 ${knot.port}\\nzone ${ZONE}\\n%s %s. 30 TXT "%s"\\nsend\\n' $verb "$2" "$3" |
  knsupdate -k ${await scene.write('tsig.key', `hmac-sha256:${knot.tsig.name}:${knot.tsig.secret}`)}
`,
      0o700,
    )
    const program = await operatorIn(scene, 'operator', {
      zone: { name: ZONE, hook, 'check-servers': [knot.address] },
      authorities: [{ name: 'pebble', kind: 'acme', directory: pebble.directoryUrl, trust: pebble.trust }],
    })
    operator = await program.start()
    await writeFile(trust, (await readFile(program.root, 'utf8')) + (await pebble.issuingRoot()))
    const { directoryUrl } = program
    router = await routerIn(scene, 'router', { device: await program.addDevice(), directoryUrl, trust, lifetime: '1m' })
  })

  it('says in its own words why it failed, and is tried again', async () => {
    await writeFile(frozen, '')
    await router.start()
    await eventually(() => expect(operator.output()).toContain('HOOK_FAILED'))
    expect(operator.output()).toContain(`hook.sh present _acme-challenge.${router.name}: zone ${ZONE} is frozen`)
    await rm(frozen)
    await eventually(async () => expect((await router.status()).presence.certificate).toBeDefined())
  })

  it('brings a certificate that clients accept, with the dates of the CA, and leaves no record behind', async () => {
    expect(await opensslClient(router.ports.dot, router.name, trust)).toMatchObject({ code: 0 })
    const { notBefore, notAfter } = (await router.status()).identity
    expect((Date.parse(notAfter!) - Date.parse(notBefore!)) / 1000).toBeCloseTo(VALIDITY_S, -1)
    expect(await knot.txtRecords(ZONE)).toEqual([])
  })
})
