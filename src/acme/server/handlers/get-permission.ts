import type { JsonObject } from '../../json.ts'
import { isJsonObject } from '../../json.ts'
import { AcmeProblem } from '../../problem.ts'

/**
 * Did the client ask for its certificate by plain GET? `allow-certificate-get` goes inside `auto-renewal` (RFC 8739
 * §3.1.1), and to the top level when there is none (RFC 9115 §2.3.5). A delegated certificate is fetched in no other way,
 * so there it must be asked for (§2.3.2, §2.3.3).
 */
export function readGetPermission(payload: JsonObject, isDelegated: boolean): boolean {
  const topLevel = payload[FLAG]
  const autoRenewal = payload['auto-renewal']
  if (isJsonObject(autoRenewal) && topLevel !== undefined) {
    throw new AcmeProblem('malformed', `"${FLAG}" goes inside "auto-renewal", not beside it`)
  }
  const flag = isJsonObject(autoRenewal) ? autoRenewal[FLAG] : topLevel
  if (flag !== undefined && typeof flag !== 'boolean') {
    throw new AcmeProblem('malformed', `"${FLAG}" is true or false`)
  }
  if (isDelegated && flag !== true) {
    throw new AcmeProblem('malformed', `an order with a delegation needs "${FLAG}": true`)
  }
  return flag === true
}

const FLAG = 'allow-certificate-get'
