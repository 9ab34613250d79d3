import { expect, it } from 'vitest'
import { CLASS, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type ResourceRecord } from '../../../src/dns/message.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import type { Layer } from '../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import { withoutUnaskedDnssec } from '../../../src/router/resolve/dnssec-records.ts'
import { withRebindingFilter } from '../../../src/router/resolve/rebinding.ts'
import type { Answer } from '../../../src/router/resolve/resolver.ts'
import { TrustAnchors } from '../../../src/router/resolve/validation/anchors.ts'
import { withValidation } from '../../../src/router/resolve/validation/layer.ts'
import { answerTo } from '../../../src/router/upstream/wire.ts'
import { silentLog } from '../../support/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const NAME = 'a.example'
const clock = new ManualClock()
const record = (name: string, type: number, data: ResourceRecord['data'], owner: number = CLASS.IN) => ({
  name,
  type,
  class: owner,
  ttl: 0,
  data,
})
/** Enough of one to be known by (RFC 8945 §4.2). */
const TSIG = record('key.example', TYPE.TSIG, new Uint8Array(16), CLASS.ANY)
const question = queryOf(queryWire(NAME, TYPE.A, { additionals: [TSIG] }))
/** With all that a layer might want to change: AD, a signature, a private address, additional records. */
const signed = buildMessage({
  id: question.view.id,
  isResponse: true,
  authenticData: true,
  questions: [{ name: NAME, type: TYPE.A, class: CLASS.IN }],
  answers: [
    record(NAME, TYPE.A, { address: '192.0.2.1' }),
    record(NAME, TYPE.RRSIG, Uint8Array.from([0, 1, 13, 2, ...new Uint8Array(14), 0, 1])),
  ],
  additionals: [record('ns.example', TYPE.A, { address: '192.168.1.1' }), TSIG],
})

const LAYERS: Readonly<Record<string, () => Promise<Layer>>> = {
  cache: async () => withCache({ bytesMax: 1 << 16, clock }).layer,
  'dnssec-records': async () => withoutUnaskedDnssec(),
  dedup: async () => withDedup(),
  rebinding: async () => withRebindingFilter({ exempt: [], loopbackAllowed: false }).layer,
  validation: async () => {
    const anchors = await TrustAnchors.open({ anchors: [], negative: [], log: silentLog })
    return withValidation({ anchors, clock, log: silentLog, isClockTrusted: () => true }).layer
  },
}

it.each(Object.keys(LAYERS))('RFC 5625 §4.5: a signed answer passes the layer %s octet by octet', async (layer) => {
  const upstream = resolverOf(async (query) => answerTo(query, signed, 'up', 'unauthenticated'))
  const resolver = (await LAYERS[layer]!())(upstream)
  const outcome = (await resolver.resolve(question, new AbortController().signal)) as Answer
  expect([outcome.verbatim, Buffer.from(outcome.wire).toString('hex')]).toEqual([
    true,
    Buffer.from(signed).toString('hex'),
  ])
})
