import type { Layer } from './chain.ts'
import { nameKey, nameOfQuestion } from './name-key.ts'
import type { Resolver } from './resolver.ts'

/**
 * While the clock is wrong no certificate looks good, so that no encrypted upstream can be asked where the time servers
 * are, who alone can set the clock. Their names, and no others, go to a plain resolver until it is right (dns §9.10).
 */
export function withNtpNames(options: {
  readonly names: readonly string[]
  readonly plain: Resolver
  readonly isClockTrusted: () => boolean
}): Layer {
  const { plain, isClockTrusted } = options
  const names = new Set(options.names.map(nameKey))
  return (next) => ({
    id: 'ntp-names',
    resolve: (query, signal) =>
      (!isClockTrusted() && names.has(nameOfQuestion(query.view.questionKey)) ? plain : next).resolve(query, signal),
  })
}
