import { concatBytes } from '../../../core/bytes.ts'
import { type ExtendedError, extendedErrorOption, parseExtendedError } from '../../../dns/edns.ts'

/** Extended errors as the cache keeps them: a length octet and the option's data for each. */

const NOTHING = new Uint8Array(0)

export function errorsToOctets(errors: readonly ExtendedError[]): Uint8Array {
  if (errors.length === 0) return NOTHING
  return concatBytes(
    errors.flatMap((error) => {
      const { data } = extendedErrorOption(error)
      return [Uint8Array.of(data.length), data]
    }),
  )
}

export function octetsToErrors(octets: Uint8Array): readonly ExtendedError[] {
  const errors: ExtendedError[] = []
  for (let at = 0; at < octets.length; at += 1 + octets[at]!)
    errors.push(parseExtendedError(octets.subarray(at + 1, at + 1 + octets[at]!)))
  return errors
}
