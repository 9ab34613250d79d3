import { writeAnswer } from '../../../../src/dns/answer.ts'
import { TYPE } from '../../../../src/dns/codes.ts'
import { parseAnchor } from '../../../../src/dns/dnssec/anchor.ts'
import { canonicalName } from '../../../../src/dns/dnssec/name.ts'
import { type Message, parseMessage } from '../../../../src/dns/message.ts'
import type { Resolver } from '../../../../src/router/resolve/resolver.ts'
import { TrustAnchors } from '../../../../src/router/resolve/validation/anchors.ts'
import { type Validation, withValidation } from '../../../../src/router/resolve/validation/layer.ts'
import { answerOf } from '../../../../src/router/upstream/wire.ts'
import { silentLog } from '../../../support/log.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { queryOf, queryWire } from '../../../support/query.ts'
import { TEST_NOW_S, type TestZone, World } from '../../../support/signed-zone.ts'

/** A validator above a world of signed zones, asked as the cache would ask it. */
export interface Scene {
  readonly world: World
  readonly clock: ManualClock
  readonly validation: Validation
  readonly anchors: TrustAnchors
  ask(name: string, type?: number, bits?: Bits): Promise<Given>
}

export interface Bits {
  readonly dnssecOk?: boolean
  readonly authenticData?: boolean
  readonly checkingDisabled?: boolean
}

export interface Given {
  readonly rcode: number
  readonly ad: boolean
  /** Info codes of extended errors. */
  readonly errors: readonly number[]
  readonly message: Message
}

export async function sceneOf(
  zones: readonly TestZone[],
  options: {
    readonly anchors?: readonly string[]
    readonly negative?: readonly string[]
    readonly isClockTrusted?: () => boolean
    readonly onClockTrusted?: () => void
    readonly file?: string
    readonly upstream?: (world: World) => Resolver
    readonly ownAnswers?: readonly string[]
  } = {},
): Promise<Scene> {
  const world = new World(zones)
  const clock = new ManualClock(TEST_NOW_S * 1000)
  const anchors = await TrustAnchors.open({
    anchors: (options.anchors ?? [zones[0]!.anchorLine()]).map((line) => {
      const anchor = parseAnchor(line)
      if (typeof anchor === 'string') throw new Error(anchor)
      return anchor
    }),
    negative: (options.negative ?? []).map((name) => canonicalName(name)!),
    ...(options.file === undefined ? {} : { file: options.file }),
    log: silentLog,
  })
  const validation = withValidation({
    anchors,
    clock,
    log: silentLog,
    isClockTrusted: options.isClockTrusted ?? (() => true),
    ...(options.onClockTrusted ? { onClockTrusted: options.onClockTrusted } : {}),
    ...(options.ownAnswers ? { ownAnswers: options.ownAnswers } : {}),
  })
  const upstream = options.upstream?.(world) ?? upstreamOf(world)
  const resolver = validation.layer(upstream)
  return {
    world,
    clock,
    validation,
    anchors,
    async ask(name, type = TYPE.A, bits = {}) {
      const { dnssecOk = true, ...flags } = bits
      const edns = { udpSize: 1232, version: 0, dnssecOk, options: [] }
      const query = queryOf(queryWire(name, type, { ...flags, edns }))
      const outcome = await resolver.resolve(query, new AbortController().signal)
      if (outcome.kind !== 'answer') throw new Error('nothing was answered')
      const wire = new Uint8Array(65_535)
      const length = outcome.prepared ? writeAnswer(outcome.prepared, wire, 0, query.view, 0) : outcome.wire.length
      const message = parseMessage(outcome.prepared ? wire.subarray(0, length) : outcome.wire)!
      const errors = (outcome.extendedErrors ?? []).map(({ code }) => code)
      return { rcode: message.rcode, ad: message.authenticData, errors, message }
    },
  }
}

export function upstreamOf(world: World, id = 'world'): Resolver {
  return {
    id,
    async resolve({ view }) {
      return answerOf(world.answer(view.wire), id, 'unauthenticated')
    },
  }
}
