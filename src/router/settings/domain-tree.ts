import { type Field, field } from '../../core/settings.ts'
import { readDomainName } from '../../core/units.ts'

/** A name that stands for itself and all below it; `*.name` says the same. */
export const domainTree = (description: string): Field<string> =>
  field({ type: 'domain name', description }, (value) =>
    readDomainName(1)(typeof value === 'string' ? value.replace(/^\*\./, '') : value),
  )
