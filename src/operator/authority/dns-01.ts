import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { rcodeName, TYPE } from '../../dns/codes.ts'
import { signTsig, type TsigKey, verifyTsig } from '../../dns/tsig.ts'
import { buildUpdate } from '../../dns/update.ts'
import { MessageView } from '../../dns/view.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import { exchangeByTcp } from '../dns/ask.ts'

const TXT_TTL_S = 30
const UPDATE_MS_MAX = 10_000
const TSIG_FUDGE_S = 300
const HOOK_MS_MAX = 60_000
const HOOK_OUTPUT_BYTES_MAX = 65_536

/** Dynamic update (RFC 2136) over TCP to the primary of the zone, signed with TSIG (RFC 8945) when a key is given. */
export function dnsUpdater(options: {
  readonly server: Endpoint
  readonly zone: string
  readonly key?: TsigKey
  readonly clock: Clock
}): DnsChallenges {
  const { server, zone, key, clock } = options

  const update = async (change: 'adds' | 'deletes', name: string, value: string): Promise<void> => {
    const record = { name, type: TYPE.TXT, ttl: TXT_TTL_S, rdata: characterString(value) }
    const plain = buildUpdate({ zone, adds: [], deletes: [], [change]: [record], id: randomInt(0x1_0000) })
    const timeS = Math.floor(clock.nowMs() / 1000)
    const signed = key && signTsig(plain, { ...key, timeS, fudgeS: TSIG_FUDGE_S })
    const reply = await exchange(server, signed?.wire ?? plain)
    const view = MessageView.over(reply)
    if (!view || view.id !== MessageView.over(plain)?.id)
      throw refused(server, zone, 'the reply is not for this update')
    if (view.rcode !== 0)
      throw refused(server, zone, `${change === 'adds' ? 'adding' : 'removing'} ${name} TXT: ${rcodeName(view.rcode)}`)
    if (key && !verifyTsig(reply, signed!.mac, key, Math.floor(clock.nowMs() / 1000)))
      throw refused(server, zone, 'the reply is not signed with our key')
  }
  return {
    present: (name, value) => update('adds', name, value),
    cleanup: (name, value) => update('deletes', name, value),
  }
}

function refused(server: Endpoint, zone: string, reason: string): Fault {
  return new Fault('DNS_UPDATE_REFUSED', `${endpointText(server)} did not update zone ${zone}: ${reason}`)
}

async function exchange(server: Endpoint, message: Uint8Array): Promise<Uint8Array> {
  try {
    return await exchangeByTcp(server, message, { timeoutMs: UPDATE_MS_MAX })
  } catch (error) {
    const where = endpointText(server)
    throw new Fault('DNS_UPDATE_REFUSED', `no answer from the name server ${where}: ${reasonOf(error)}`, {}, error)
  }
}

/** A dns-01 value is 43 octets; one character-string holds 255. */
function characterString(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'ascii')
  return Uint8Array.of(bytes.length, ...bytes)
}

/** A command of the operator's own: `COMMAND present|cleanup NAME VALUE`. Exit code 0 means done. */
export function challengeHook(command: string): DnsChallenges {
  const run = (action: string, name: string, value: string): Promise<void> =>
    new Promise((resolve, reject) => {
      execFile(
        command,
        [action, name, value],
        { timeout: HOOK_MS_MAX, maxBuffer: HOOK_OUTPUT_BYTES_MAX },
        (error, _stdout, stderr) =>
          error
            ? reject(
                new Fault('HOOK_FAILED', `${command} ${action} ${name}: ${stderr.trim() || error.message}`, {}, error),
              )
            : resolve(),
      )
    })
  return {
    present: (name, value) => run('present', name, value),
    cleanup: (name, value) => run('cleanup', name, value),
  }
}
