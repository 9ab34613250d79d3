import { describe, expect, it } from 'vitest'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { type Message, parseMessage, recordText } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { challengeRecords } from '../../../src/operator/dns/challenge-records.ts'
import { challengeZoneResponder } from '../../../src/operator/dns/respond.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryWire } from '../../support/query.ts'

const ZONE = 'acme.isp.example'
const SOA = `${ZONE}. 5 IN SOA acme-ns.isp.example. hostmaster.${ZONE}. 1 3600 600 86400 5`

const records = challengeRecords(memoryTable(), new ManualClock())
const { signal } = new AbortController()
await records.present(`cpe-1.${ZONE}`, 'one', signal)
await records.present(`cpe-1.${ZONE}`, 'two', signal)
await records.present(`_acme-challenge.cpe-2.${ZONE}`, 'three', signal)
const respond = challengeZoneResponder({ zone: ZONE, ns: 'acme-ns.isp.example', records })

async function ask(name: string, type: number, of: number = CLASS.IN): Promise<Message> {
  const query = queryWire(name, type, { questions: [{ name, type, class: of }], checkingDisabled: true })
  const answer = await respond(MessageView.over(query)!)
  return parseMessage(answer)!
}

/** rcode, AA, answers, authorities. */
async function look(name: string, type: number, of?: number): Promise<readonly unknown[]> {
  const { rcode, authoritative, answers, authorities } = await ask(name, type, of)
  return [rcode, authoritative, answers.map(recordText), authorities.map(recordText)]
}

const NODATA = [RCODE.NOERROR, true, [], [SOA]]
const NXDOMAIN = [RCODE.NXDOMAIN, true, [], [SOA]]
const REFUSED = [RCODE.REFUSED, false, [], []]

describe('the zone of challenges', () => {
  it('shows every value of a name', async () => {
    const one = `cpe-1.${ZONE}. 5 IN TXT "one"`
    expect(await look(`cpe-1.${ZONE}`, TYPE.TXT)).toEqual([0, true, [one, one.replace('one', 'two')], []])
  })

  it('echoes the letter case of the question', async () => {
    const { questions, answers } = await ask(`CPE-1.Acme.ISP.example`, TYPE.TXT)
    expect(questions[0]!.name).toBe('CPE-1.Acme.ISP.example')
    expect(answers.map(({ name }) => name)).toEqual(['CPE-1.Acme.ISP.example', 'CPE-1.Acme.ISP.example'])
  })

  it('has SOA and NS at its apex, and nothing else', async () => {
    expect(await look(ZONE, TYPE.SOA)).toEqual([0, true, [SOA.replace(' 5 IN', ' 3600 IN')], []])
    expect(await look(ZONE, TYPE.NS)).toEqual([0, true, [`${ZONE}. 3600 IN NS acme-ns.isp.example.`], []])
    for (const type of [TYPE.TXT, TYPE.A, TYPE.DS, TYPE.DNSKEY, TYPE.CAA])
      expect(await look(ZONE, type)).toEqual(NODATA)
  })

  it('says NODATA for other types of a name, and for a name above one', async () => {
    for (const type of [TYPE.A, TYPE.CNAME, TYPE.CAA, TYPE.NS, TYPE.SOA, 65_280])
      expect(await look(`cpe-1.${ZONE}`, type)).toEqual(NODATA)
    expect(await look(`cpe-2.${ZONE}`, TYPE.TXT)).toEqual(NODATA)
  })

  it('says NXDOMAIN for all other names', async () => {
    for (const name of ['cpe-3', 'a.cpe-1', '_acme-challenge', 'cpe-1\\.x', '\\000'])
      expect(await look(`${name}.${ZONE}`, TYPE.TXT), name).toEqual(NXDOMAIN)
  })

  it('refuses other zones, other classes, zone transfers and meta types', async () => {
    for (const name of ['.', 'example', 'isp.example', 'xacme.isp.example', 'acme.isp.example.com', `a\\.${ZONE}`])
      expect(await look(name, TYPE.TXT), name).toEqual(REFUSED)
    for (const of of [CLASS.CH, CLASS.HS, CLASS.NONE, CLASS.ANY, 0])
      expect(await look(`cpe-1.${ZONE}`, TYPE.TXT, of)).toEqual(REFUSED)
    for (const type of [TYPE.AXFR, TYPE.IXFR, TYPE.TKEY, TYPE.TSIG, TYPE.OPT, 253, 254])
      expect(await look(ZONE, type)).toEqual(REFUSED)
  })

  it('answers ANY with one small record (RFC 8482 §4.2)', async () => {
    for (const name of [ZONE, `cpe-1.${ZONE}`])
      expect(await look(name, TYPE.ANY)).toEqual([0, true, [`${name}. 3600 IN HINFO "RFC8482" ""`], []])
    expect(await look(`cpe-3.${ZONE}`, TYPE.ANY)).toEqual(NXDOMAIN)
  })

  it('offers no recursion, also to those who desire it', async () => {
    for (const name of [ZONE, 'example', `nobody.${ZONE}`])
      expect(await ask(name, TYPE.SOA)).toMatchObject({
        id: 0x1234,
        isResponse: true,
        recursionDesired: true,
        recursionAvailable: false,
        checkingDisabled: true,
        authenticData: false,
      })
  })
})
