import type { OperatorConfig } from '../config.ts'
import { challengeAlias } from './challenge-zone.ts'

/** What an operator has to set in zones of their own for dns-01 to work with these settings, as zone-file lines. */
export function recordsToSet({ name: zone, challengeZone, dnsServer }: OperatorConfig['zone']): readonly string[] {
  const delegation = dnsServer ? [`${challengeZone ?? zone}. NS ${dnsServer.ns}.`] : []
  const alias = challengeZone === undefined ? [] : [challengeAlias(`NAME.${zone}`, { zone, challengeZone })]
  const records = [...delegation, ...alias]
  return records.length === 0
    ? []
    : ['records to set (NAME: first label of each router; see docs/operator-dns.md):', ...records]
}
